// JSON-RPC messages with Content-Length headers, as bytes.

const MAX_BYTES = 64 * 1024 * 1024; // a text of 4 MiB, each character escaped, and some
const MAX_HEADER = 4096;

export interface Message {
  id?: number | string | null;
  method?: string;
  params?: unknown;
  result?: unknown;
  error?: { code?: number; message?: string; data?: unknown };
}

export function encode(message: Message): Buffer {
  const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }), "utf8");
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`, "ascii"), body]);
}

/** Takes bytes as they come; gives the messages that are complete. Throws if it is not the protocol. */
export class Decoder {
  private pieces: Buffer[] = [];
  private size = 0;
  private wanted = 0; // bytes of the message at hand with its header; 0 if that is not yet known
  private headerSize = 0;

  feed(data: Buffer): Message[] {
    this.pieces.push(data);
    this.size += data.length;
    const messages: Message[] = [];
    while (this.size > 0 && this.size >= this.wanted) {
      const bytes = this.pieces.length === 1 ? this.pieces[0] : Buffer.concat(this.pieces);
      this.pieces = [bytes];
      if (this.wanted === 0) {
        const end = bytes.indexOf("\r\n\r\n");
        if (end < 0) {
          if (this.size > MAX_HEADER) {
            throw new Error("the header of a message does not end");
          }
          break;
        }
        const found = /(?:^|\r\n)content-length:[ \t]*(\d{1,9})[ \t]*(?:\r\n|$)/i.exec(
          bytes.toString("latin1", 0, end),
        );
        if (!found || Number(found[1]) > MAX_BYTES) {
          throw new Error("a message without a usable Content-Length");
        }
        this.headerSize = end + 4;
        this.wanted = this.headerSize + Number(found[1]);
        continue;
      }
      const message: unknown = JSON.parse(bytes.toString("utf8", this.headerSize, this.wanted));
      if (typeof message !== "object" || message === null || Array.isArray(message)) {
        throw new Error("a message that is no JSON object");
      }
      messages.push(message);
      this.pieces = this.wanted < bytes.length ? [bytes.subarray(this.wanted)] : [];
      this.size -= this.wanted;
      this.wanted = 0;
    }
    return messages;
  }
}
