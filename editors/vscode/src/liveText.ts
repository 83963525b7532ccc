// One document that shows one shared text: what is typed goes out, what others type comes in.
//
// No line of this knows VS Code: a `Surface` shows the text, a `Server` is asked. VS Code applies an
// edit some time after it was told to, and refuses if its person typed meanwhile. So there is one
// edit of the server's under way at most; a change of the document that gives just the text which
// that edit leads to is ours, every other one the person's. Both revision counters start at 0 at
// `open`. An edit of the server's that does not know all of ours is dropped; it comes again.

import {
  applied,
  difference,
  Edit,
  equal,
  fromProtocol,
  inOrder,
  Position,
  Range,
  Rows,
  rowsOf,
  textOf,
  toProtocol,
  wellFormed,
  withLineFeeds,
} from "./rows";
import { Change, isDelta, Listener, Server, State, Surface } from "./surface";

const MAX_HELD = 2000; // changes kept one by one while there is no process; more become one (guess)
const MAX_EDITS = 1000; // in one message; tens of thousands are slow to take in for the engine
const MAX_REOPENED = 3; // within REOPENED_WITHIN ms: a fault that opening anew does not heal (guess)
const REOPENED_WITHIN = 10_000;
const CORRECTION_WAIT = 80; // ms after an opening in which the server's correction is awaited (guess)
const REFUSED_WAIT = 20; // ms until an edit that the surface refused is tried again (guess)
const MAX_REFUSED = 100; // times in a row
const MARK = "\ufeff"; // a byte order mark: VS Code hides it, the text has it

/** Something the person did: edits of `known`, in UTF-16 units; messages not yet answered. */
interface Pending {
  known: Rows;
  edits: readonly Edit[];
  parts: number;
}

export class LiveText {
  state: State = "new";
  reason = "";
  editorRevision = 0;
  serverRevision = 0;
  /** The folder's process is not there; the one we talk to keeps our edits. */
  offline = false;

  private rows: Rows; // what the surface shows, as far as we know
  // What the person did that the server has not confirmed, oldest first: sent, or held back.
  private pending: Pending[] = [];
  private doubtful = 0; // the first so many were sent to a process that is gone
  private incoming: { revision: number; delta: readonly Edit[] }[] = [];
  private applying: { after: Rows; done: boolean } | null = null;
  private held: "no" | "opening" | "correction" = "no"; // what the person types is kept back
  private opening = 0;
  private reopened: number[] = [];
  private refused = 0;
  private othersLast = false;

  constructor(
    readonly uri: string,
    private readonly surface: Surface,
    private readonly server: Server,
    private readonly listener: Listener,
    private readonly now: () => number,
    private readonly mark: boolean,
  ) {
    this.rows = this.shown();
  }

  // --- Opening and closing ---

  /** Open the text with what the surface shows: where the server has something else, that counts. */
  open(): void {
    this.rows = this.shown();
    this.pending = [];
    this.doubtful = 0;
    this.begin();
  }

  private begin(): void {
    this.state = "opening";
    this.held = "opening";
    this.editorRevision = this.serverRevision = 0;
    this.incoming = [];
    this.applying = null;
    const opening = ++this.opening;
    this.listener.changed();
    const content = textOf(this.base());
    this.server.request("open", { uri: this.uri, content }).then(
      () => {
        if (this.opening !== opening || this.state !== "opening") {
          return;
        }
        this.state = "open";
        this.reason = "";
        if (this.doubtful > 0) {
          // What the server has of it shows in its correction, if one comes.
          this.held = "correction";
          this.listener.later(CORRECTION_WAIT, () => {
            if (this.opening === opening && this.held === "correction") {
              this.release();
            }
          });
        } else {
          this.release();
        }
        this.listener.changed();
      },
      (error: Error) => {
        if (this.opening === opening && this.state === "opening") {
          this.refuse(error.message);
        }
      },
    );
  }

  /** The text without what is pending. */
  private base(): Rows {
    return this.pending.length > 0 ? this.pending[0].known : this.rows;
  }

  /** Say goodbye. */
  close(): void {
    if (this.state === "open" || this.state === "opening") {
      this.server.request("close", { uri: this.uri }).catch(() => undefined);
    }
    this.opening++;
    this.state = "closed";
    this.listener.changed();
  }

  private refuse(reason: string): void {
    this.opening++;
    this.state = "refused";
    this.reason = reason;
    this.applying = null;
    this.incoming = [];
    this.listener.changed();
  }

  private giveUp(reason: string): void {
    this.server.request("close", { uri: this.uri }).catch(() => undefined);
    this.refuse(reason);
    this.listener.tell(`not live: ${reason}`);
  }

  /** Open anew: the server corrects the surface to its own text. */
  reopen(why: string, quiet = false): void {
    const now = this.now();
    this.reopened = this.reopened.filter((at) => now - at < REOPENED_WITHIN);
    this.reopened.push(now);
    this.server.request("close", { uri: this.uri }).catch(() => undefined);
    if (this.reopened.length > MAX_REOPENED) {
      this.refuse(`given up after several errors: ${why}`);
      this.listener.tell(this.reason);
      return;
    }
    if (!quiet) {
      this.listener.tell(`opened anew (${why}); what you had can be undone to`);
    }
    this.open();
  }

  /**
   * The surface shows what another program saved. That is not the person's edit: it comes through the
   * server, too. Until `reloaded`, what the person types is kept.
   */
  pause(): void {
    if (this.state === "open" || this.state === "opening") {
      this.opening++;
      this.state = "opening";
      this.held = "opening";
      this.applying = null;
      this.incoming = [];
    }
    this.pending = [];
    this.doubtful = 0;
    this.rows = this.shown();
  }

  /** Meerkat has had time to read it. The live text counts, should they differ. */
  reloaded(): void {
    if (this.state === "opening") {
      this.server.request("close", { uri: this.uri }).catch(() => undefined);
      this.begin();
    }
  }

  /** Is this the text that an edit under way leads to? */
  expects(text: string): boolean {
    return this.applying !== null && equal(this.applying.after, this.rowsShown(text));
  }

  /** The process is gone: what it did not answer counts as not sent. */
  disconnect(): void {
    if (this.state === "open" || this.state === "opening") {
      if (this.held === "no") {
        this.doubtful = this.pending.length;
      }
      this.opening++;
      this.state = "waiting";
      this.applying = null;
      this.incoming = [];
      this.listener.changed();
    }
  }

  /** There is a process (again). */
  reconnect(): void {
    if (this.state === "waiting") {
      this.begin();
    } else if (this.state === "new") {
      this.open();
    }
  }

  // --- What the person does ---

  /** The document changed. */
  change(changes: readonly Change[]): void {
    if (changes.length === 0) {
      return;
    }
    const known = this.rows;
    const edits = inOrder(
      changes.map(({ range, text }) => ({
        range: this.inText(range),
        replacement: withLineFeeds(text),
      })),
    );
    this.rows = applied(known, edits);
    if (this.applying !== null && !this.applying.done && equal(this.rows, this.applying.after)) {
      this.applying.done = true;
      this.took();
    } else if (this.state !== "refused" && this.state !== "closed" && this.state !== "new") {
      const change = { known, edits, parts: 0 };
      this.pending.push(change);
      if (this.state === "open" && this.held === "no") {
        this.send(change);
      } else if (this.pending.length > this.doubtful + MAX_HELD) {
        const since = this.pending[this.doubtful].known;
        const edit = difference(since, this.rows);
        const one = edit === null ? [] : [{ known: since, edits: [edit], parts: 0 }];
        this.pending.splice(this.doubtful, Infinity, ...one);
      }
    }
    this.othersLast = false;
  }

  private send(change: Pending): void {
    const { known, edits } = change;
    const delta = edits.map(({ range, replacement }) => ({
      range: { start: toProtocol(known, range.start), end: toProtocol(known, range.end) },
      replacement: wellFormed(replacement),
    }));
    const opening = this.opening;
    change.parts = 0;
    // From the end, so that the places before stay where they are.
    for (let end = delta.length; end > 0; end -= MAX_EDITS) {
      this.editorRevision++;
      change.parts++;
      const part = delta.slice(Math.max(0, end - MAX_EDITS), end);
      this.server.request("edit", { uri: this.uri, revision: this.serverRevision, delta: part }).then(
        () => {
          if (this.opening === opening && --change.parts === 0 && this.pending[0] === change) {
            this.pending.shift();
          }
        },
        (error: Error) => {
          if (this.opening === opening && this.state === "open") {
            this.reopen(error.message);
          }
        },
      );
    }
    if (delta.some(({ replacement }, i) => replacement !== edits[i].replacement)) {
      // Half a surrogate pair was typed: the others have U+FFFD in its place, and so must we.
      this.listener.later(0, () => this.state === "open" && this.reopen("half a character was typed"));
    }
  }

  /** What was held back goes out. */
  private release(): void {
    this.held = "no";
    this.doubtful = 0;
    this.pending.forEach((change) => this.send(change));
    void this.work();
  }

  /** The person's selections, `end` where the cursor is; [] if it is elsewhere. */
  cursor(selections: readonly Range[]): void {
    if (this.state === "open" && this.held === "no") {
      const ranges = selections.map((selection) => {
        const { start, end } = this.inText(selection);
        return { start: toProtocol(this.rows, start), end: toProtocol(this.rows, end) };
      });
      this.server.request("cursor", { uri: this.uri, ranges }).catch(() => undefined);
    }
  }

  // --- What others do ---

  /** An edit of the server's. */
  receive(revision: unknown, delta: unknown): void {
    if (this.state !== "open") {
      return;
    }
    if (typeof revision !== "number" || !isDelta(delta)) {
      this.reopen("an edit that makes no sense");
      return;
    }
    this.incoming.push({ revision, delta });
    void this.work();
  }

  /** Apply what came, one after the other. */
  private async work(): Promise<void> {
    while (this.state === "open" && this.applying === null && this.incoming.length > 0) {
      const { revision, delta } = this.incoming[0];
      if (revision !== this.editorRevision) {
        this.incoming.shift();
        continue;
      }
      const rows = this.held === "correction" ? this.base() : this.rows;
      let edits: Edit[];
      try {
        edits = inOrder(
          delta.map(({ range, replacement }) => ({
            range: { start: fromProtocol(rows, range.start), end: fromProtocol(rows, range.end) },
            replacement: wellFormed(replacement),
          })),
        );
      } catch {
        this.reopen("an edit that makes no sense");
        return;
      }
      const after = applied(rows, edits);
      if (edits.some(({ replacement }) => replacement.includes("\r"))) {
        this.giveUp("its lines end in different ways (LF, CRLF, CR), which VS Code cannot show as they are");
        return;
      }
      if (this.mark && !after[0].startsWith(MARK)) {
        this.giveUp("its byte order mark is gone; open the file again");
        return;
      }
      if (this.held === "correction") {
        const texts = [...this.pending.slice(0, this.doubtful).map(({ known }) => known), this.sentBefore()];
        const has = texts.findIndex((text) => equal(text, after));
        if (has > 0) {
          this.pending.splice(0, has); // it has so many of them: only the rest is new
          this.serverRevision++;
          this.incoming.shift();
        }
        this.release();
        return;
      }
      if (!(await this.show(edits, after))) {
        return;
      }
    }
  }

  /** What the server has if it got all that was sent to a process that is gone. */
  private sentBefore(): Rows {
    return this.pending.length > this.doubtful ? this.pending[this.doubtful].known : this.rows;
  }

  private async show(edits: readonly Edit[], after: Rows): Promise<boolean> {
    const opening = this.opening;
    const applying = { after, done: false };
    if (equal(after, this.rows)) {
      this.took();
      return true;
    }
    this.applying = applying;
    const before = this.rows;
    let accepted = false;
    try {
      accepted = await this.surface.apply(this.onSurface(edits), !this.othersLast);
    } catch {
      accepted = false;
    }
    if (this.opening !== opening) {
      return false;
    }
    this.applying = null;
    this.othersLast = applying.done;
    if (applying.done) {
      this.refused = 0;
      return true;
    }
    if (accepted && equal(this.rows, before)) {
      // It says yes and nothing happened: we no longer know what it shows.
      this.reopen("VS Code lost an edit");
      return false;
    }
    if (this.incoming[0]?.revision !== this.editorRevision) {
      return true; // the person typed, and we heard of it: the edit comes again
    }
    if (++this.refused > MAX_REFUSED) {
      this.refused = 0;
      this.reopen("VS Code refuses edits");
      return false;
    }
    // The person typed, and we will hear of it soon.
    this.listener.later(REFUSED_WAIT, () => {
      if (this.opening === opening) {
        void this.work();
      }
    });
    return false;
  }

  /** The server's edit is in the text. It knows all of ours, so all of ours arrived. */
  private took(): void {
    this.incoming.shift();
    this.serverRevision++;
    this.pending = [];
    this.listener.editedByOthers();
  }

  /** The session is over on the other side. */
  closed(reason: string, sentence: string): void {
    if (this.state !== "open" && this.state !== "opening") {
      return;
    }
    if (reason === "replaced" || reason === "protocol" || reason === "stale") {
      this.reopen(sentence || reason, reason === "replaced");
      return;
    }
    this.refuse(sentence || reason);
    this.listener.tell(`not live any more: ${this.reason}`);
  }

  /** Where someone's selection is on the surface. */
  place(range: Range): Range {
    return this.fromText({
      start: fromProtocol(this.rows, range.start),
      end: fromProtocol(this.rows, range.end),
    });
  }

  /** Does the surface show what we think it does? Asked at rest; opens anew if not. */
  verify(): void {
    if (this.state === "open" && this.applying === null && !equal(this.rows, this.shown())) {
      this.reopen("VS Code shows something else than it told");
    }
  }

  // --- The byte order mark ---

  private shown(): Rows {
    return this.rowsShown(this.surface.text());
  }

  private rowsShown(text: string): Rows {
    return rowsOf((this.mark ? MARK : "") + withLineFeeds(text));
  }

  private shifted(place: Position, by: number): Position {
    return this.mark && place.line === 0
      ? { line: 0, character: Math.max(0, place.character + by) }
      : place;
  }

  private inText(range: Range): Range {
    return { start: this.shifted(range.start, 1), end: this.shifted(range.end, 1) };
  }

  private fromText(range: Range): Range {
    return { start: this.shifted(range.start, -1), end: this.shifted(range.end, -1) };
  }

  private onSurface(edits: readonly Edit[]): Edit[] {
    return edits.map(({ range, replacement }) => ({ range: this.fromText(range), replacement }));
  }
}
