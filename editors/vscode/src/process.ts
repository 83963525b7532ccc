// One running `meerkat editor` for one folder: requests, notifications, and starting it again.

import { ChildProcessWithoutNullStreams, spawn } from "node:child_process";

import { Decoder, encode, Message } from "./framing";
import { Server } from "./surface";

const PROTOCOL = "0.7"; // the editor protocol's version that this was written against
const EXTENSIONS = ["moved", "closed", "people", "live"];
const FIRST_RETRY = 500; // ms, doubled each time (guess)
const LAST_RETRY = 30_000;
const SETTLED = 10_000; // ms after which it counts as running well
const KEPT_WORDS = 2000; // characters of what it said last on its error output

export interface Hearer {
  /** There is a process: open what is to be open. */
  started(): void;
  heard(method: string, params: Record<string, unknown>): void;
  /** It ended; it is started again by itself. */
  ended(sentence: string): void;
}

export class Process implements Server {
  private child: ChildProcessWithoutNullStreams | null = null;
  private asked = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  private nextId = 1;
  private retry = FIRST_RETRY;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(
    private readonly command: readonly string[],
    private readonly folder: string,
    private readonly hearer: Hearer,
  ) {}

  get running(): boolean {
    return this.child !== null;
  }

  start(): void {
    if (this.child !== null || this.timer !== null || this.stopped) {
      return;
    }
    const began = Date.now();
    const child = spawn(this.command[0], this.command.slice(1), { cwd: this.folder, windowsHide: true });
    this.child = child;
    this.asked.clear();
    const decoder = new Decoder();
    let words = "";
    const end = (sentence: string): void => {
      if (this.child !== child) {
        return;
      }
      this.child = null;
      child.kill();
      if (Date.now() - began > SETTLED) {
        this.retry = FIRST_RETRY;
      }
      if (!this.stopped) {
        this.timer = setTimeout(() => {
          this.timer = null;
          this.start();
        }, this.retry);
        this.retry = Math.min(this.retry * 2, LAST_RETRY);
      }
      this.hearer.ended(sentence);
    };
    child.on("error", (error) => end(`${this.command[0]} does not start: ${error.message}`));
    child.on("close", (code) => {
      const lines = words.trim().split(/\r?\n/);
      end(lines[lines.length - 1] || `the program ended (code ${code ?? "?"})`);
    });
    child.stdin.on("error", () => undefined); // its end is heard of by `close`
    child.stderr.on("data", (data: Buffer) => {
      words = (words + data.toString("utf8")).slice(-KEPT_WORDS);
    });
    child.stdout.on("data", (data: Buffer) => {
      let messages: Message[];
      try {
        messages = decoder.feed(data);
      } catch (error) {
        end(`${this.command[0]} said something else than the protocol: ${(error as Error).message}`);
        return;
      }
      for (const message of messages) {
        if (this.child === child) {
          this.take(message);
        }
      }
    });
    // An older server may refuse; it works without what the extensions add.
    this.request("initialize", { version: PROTOCOL, extensions: EXTENSIONS }).catch(() => undefined);
    this.hearer.started();
  }

  request(method: string, params: object): Promise<void> {
    return new Promise((resolve, reject) => {
      const id = this.nextId++;
      if (this.child !== null) {
        this.asked.set(id, { resolve, reject });
        this.child.stdin.write(encode({ id, method, params }));
      }
    });
  }

  private take(message: Message): void {
    if (typeof message.method === "string") {
      const params = message.params;
      if (typeof params === "object" && params !== null) {
        this.hearer.heard(message.method, params as Record<string, unknown>);
      }
      return;
    }
    const asked = typeof message.id === "number" ? this.asked.get(message.id) : undefined;
    if (asked === undefined) {
      return;
    }
    this.asked.delete(message.id as number);
    if (message.error) {
      const { message: sentence, data } = message.error;
      asked.reject(new Error(typeof data === "string" && data !== "" ? data : (sentence ?? "refused")));
    } else {
      asked.resolve();
    }
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) {
      clearTimeout(this.timer);
    }
    const child = this.child;
    this.child = null;
    child?.stdin.end(); // which it takes as a goodbye
  }
}
