// One live text: its Yjs document, its connection to the folder's process, and what became of it.
//
// The text always begins as what the folder's process has (nothing is ever inserted at opening). If
// the process says that our document is of another time (4409), a fresh one takes its place; what
// was typed and had not arrived is kept beside it, for the person to look at.

import { type Signal, signal } from "@preact/signals";
import { createEncoder, toUint8Array, writeVarUint } from "lib0/encoding";
import { writeSyncStep1 } from "y-protocols/sync";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { escapePath, getToken, socketAddress } from "./token";

/** "over": the text is no more, or not reachable under its path; see the notice. */
export type TextState = "opening" | "live" | "offline" | "over";

/** "saved": the folder's process has all we typed; "sending": soon; "unsent": once we are connected. */
export type Saved = "saved" | "sending" | "unsent";

export type Notice =
  /** Deleted, replaced as a whole, or binary now; `content` of the text is what it was here. */
  | { kind: "ended"; sentence: string }
  /** No such text. */
  | { kind: "missing"; sentence: string }
  /** A fresh document took the place of an old one, in which `mine` had been typed. */
  | { kind: "mine"; mine: string }
  /** It could not be opened, several times. */
  | { kind: "trouble"; sentence: string };

export const CLOSE = { protocol: 4400, token: 4401, missing: 4404, stale: 4409, gone: 4410 };

const ASK_AFTER = 250; // ms after a key before we ask whether it arrived
const MOST_RENEWALS = 4; // of a document that is refused, within
const RENEWALS_WITHIN = 20_000; // ms
const MISSING_TRIES = 12; // a file that was just made is no text until it has been looked at
const MISSING_PAUSE = 350; // ms
const SYNC = 0; // y-websocket's kind of message
const STEP_2 = 1; // y-protocols' second byte: an answer to our question

/** Where a text's frames go through: the server's path of the y-websocket endpoint. */
export const YJS = "/yjs";

export class LiveText {
  readonly state: Signal<TextState> = signal("opening");
  readonly saved: Signal<Saved> = signal("saved");
  readonly notice: Signal<Notice | null> = signal(null);
  /** The document that is shown; another one after a renewal. */
  readonly shown: Signal<Y.Text | null> = signal(null);

  provider!: WebsocketProvider;
  private typed = 0; // updates of our own
  private asked = 0; // how many there were when we asked
  private arrived = 0; // how many the process has for certain
  private asking = false;
  private timer = 0;
  private renewals: number[] = [];
  private missing = 0;
  private seen = false; // there was such a text when we opened it
  /** What is still shown, and may be typed in, until a fresh document has come. */
  private old: { doc: Y.Doc; dirty: boolean } | null = null;
  private closed = false;
  private user: Record<string, string> | null = null;

  constructor(
    public path: string,
    private readonly onRefused: () => void,
    private readonly isExpected: (path: string) => boolean,
  ) {
    this.begin();
  }

  /** Who we are, for the others' screens. */
  setUser(user: Record<string, string>): void {
    this.user = user;
    this.provider.awareness.setLocalStateField("user", user);
  }

  /** The file is called otherwise now. */
  moved(path: string): void {
    this.path = path;
    this.provider.roomname = escapePath(path);
  }

  /** Something typed here may not have arrived. */
  get unsent(): boolean {
    return this.state.value !== "over" && (this.typed > this.arrived || !!this.old?.dirty);
  }

  get content(): string {
    return (this.shown.peek() ?? this.provider.doc.getText("text")).toString();
  }

  /** Begin anew with a fresh document. */
  reopen(): void {
    this.end();
    this.notice.value = null;
    this.missing = 0;
    this.seen = false;
    this.begin();
  }

  /** Try the connection now instead of a little later. */
  hurry(): void {
    if (!this.closed && !this.provider.wsconnected && !this.provider.wsconnecting) {
      if (this.state.value !== "over") this.provider.connect();
    }
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
    this.end();
    this.shown.value = null;
  }

  private begin(): void {
    const doc = new Y.Doc();
    this.state.value = "opening";
    this.typed = this.asked = this.arrived = 0;
    this.asking = false;
    const provider = new WebsocketProvider(socketAddress(YJS), escapePath(this.path), doc, {
      params: { token: getToken() },
      // Documents of two tabs may be of two times; only the folder's process may join them.
      disableBc: true,
    });
    this.provider = provider;
    if (this.user) provider.awareness.setLocalStateField("user", this.user);
    doc.on("update", (_update: Uint8Array, origin: unknown) => {
      if (this.old?.doc === doc) this.old.dirty = true;
      else if (origin !== provider) this.onTyped();
    });
    provider.on("status", ({ status }: { status: string }) => {
      if (status === "disconnected" || (status === "connecting" && this.shown.value)) this.onLost();
    });
    provider.on("sync", (synced: boolean) => {
      if (synced && provider === this.provider) this.onSynced(doc);
    });
    provider.on("closed", ({ code, reason }: { code: number; reason: string }) => {
      if (provider === this.provider) this.onRefusal(code, reason);
    });
    const plain = provider.messageHandlers[SYNC]!;
    provider.messageHandlers[SYNC] = (encoder, decoder, from, emitSynced, kind) => {
      const step = decoder.arr[decoder.pos];
      plain(encoder, decoder, from, emitSynced, kind);
      if (step === STEP_2) this.onAnswer();
    };
  }

  private end(): void {
    window.clearTimeout(this.timer);
    this.provider.destroy();
    this.provider.doc.destroy();
    this.old?.doc.destroy();
    this.old = null;
  }

  private onSynced(doc: Y.Doc): void {
    this.state.value = "live";
    this.missing = 0;
    this.seen = true;
    const text = doc.getText("text");
    this.leaveOld(text.toString());
    if (this.shown.value !== text) this.shown.value = text;
    if (this.typed > this.arrived) this.askSoon();
    this.note();
  }

  private onTyped(): void {
    this.typed++;
    this.askSoon();
    this.note();
  }

  private onLost(): void {
    if (this.state.value === "live") this.state.value = "offline";
    this.asking = false;
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.note();
  }

  /** The answer to a question comes after everything that was sent before it has been taken in. */
  private onAnswer(): void {
    if (!this.asking) return;
    this.asking = false;
    this.arrived = this.asked;
    if (this.typed > this.arrived) this.askSoon();
    this.note();
  }

  private askSoon(): void {
    if (this.asking || this.timer || !this.provider.synced) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      const socket = this.provider.ws;
      if (!this.provider.synced || socket?.readyState !== WebSocket.OPEN) return;
      const encoder = createEncoder();
      writeVarUint(encoder, SYNC);
      writeSyncStep1(encoder, this.provider.doc);
      this.asking = true;
      this.asked = this.typed;
      socket.send(toUint8Array(encoder) as Uint8Array<ArrayBuffer>);
    }, ASK_AFTER);
  }

  private note(): void {
    const open = this.typed > this.arrived;
    this.saved.value = !open ? "saved" : this.state.value === "live" ? "sending" : "unsent";
  }

  private onRefusal(code: number, sentence: string): void {
    switch (code) {
      case CLOSE.token:
        this.onRefused();
        break;
      case CLOSE.gone:
        this.state.value = "over";
        this.notice.value = { kind: "ended", sentence };
        break;
      case CLOSE.missing:
        this.onMissing(sentence);
        break;
      default: // stale, or a protocol error: our document is worth nothing to the process
        this.renew(sentence);
    }
    this.note();
  }

  private onMissing(sentence: string): void {
    if (this.seen) {
      this.state.value = "over";
      this.notice.value = { kind: "ended", sentence };
    } else if (this.isExpected(this.path) && ++this.missing < MISSING_TRIES) {
      this.timer = window.setTimeout(() => {
        this.timer = 0;
        if (!this.closed) this.provider.connect();
      }, MISSING_PAUSE);
    } else {
      this.state.value = "over";
      this.notice.value = { kind: "missing", sentence };
    }
  }

  private renew(sentence: string): void {
    const now = performance.now();
    this.renewals = [...this.renewals.filter((at) => at > now - RENEWALS_WITHIN), now];
    if (this.renewals.length > MOST_RENEWALS) {
      this.state.value = "over";
      this.notice.value = { kind: "trouble", sentence };
      return;
    }
    window.clearTimeout(this.timer);
    this.timer = 0;
    const { doc } = this.provider;
    this.provider.destroy();
    if (this.old)
      doc.destroy(); // it was never shown
    else if (this.shown.value) this.old = { doc, dirty: this.typed > this.arrived };
    this.begin();
  }

  /** A fresh document is here: what was typed in the old one and is not in it stays at hand. */
  private leaveOld(fresh: string): void {
    const { old } = this;
    if (!old) return;
    this.old = null;
    const mine = old.doc.getText("text").toString();
    old.doc.destroy();
    if (!old.dirty || mine === fresh) return;
    const before = this.notice.value?.kind === "mine" ? `${this.notice.value.mine}\n\n` : "";
    this.notice.value = { kind: "mine", mine: before + mine };
  }
}
