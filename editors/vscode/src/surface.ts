// What a live text (liveText.ts) has to do with: what shows it, who is asked, who hears of it.

import { Edit, Position, Range } from "./rows";

/** What shows the text. Positions in UTF-16 units; all ranges of a list are of the text before. */
export interface Surface {
  /** What it shows now, with LF line ends. */
  text(): string;
  /** Apply edits; false if something else changed it first, and nothing was applied. */
  apply(edits: readonly Edit[], first: boolean): Promise<boolean>;
}

export interface Server {
  /** Resolves when the server agrees, rejects with its sentence when not; never, if it is gone. */
  request(method: string, params: object): Promise<void>;
}

export interface Listener {
  /** The state, or the reason for it, changed. */
  changed(): void;
  /** Others changed the text. `clean`: the person had no unsaved changes. */
  editedByOthers(): void;
  /** Something the person should know. */
  tell(sentence: string): void;
  /** Call back after some milliseconds. */
  later(milliseconds: number, what: () => void): void;
}

export type State = "new" | "opening" | "open" | "waiting" | "refused" | "closed";

/** How a document changed; ranges as VS Code gives them. */
export interface Change {
  range: Range;
  text: string;
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

function isPosition(value: unknown): value is Position {
  const place = value as Position | null;
  return typeof place === "object" && place !== null && isCount(place.line) && isCount(place.character);
}

/** Is it a range of the protocol's? */
export function isRange(value: unknown): value is Range {
  const range = value as Range | null;
  return typeof range === "object" && range !== null && isPosition(range.start) && isPosition(range.end);
}

/** Is it a delta of the protocol's? */
export function isDelta(value: unknown): value is Edit[] {
  return (
    Array.isArray(value) &&
    value.every(
      (edit: Edit | null) =>
        typeof edit === "object" && edit !== null && isRange(edit.range) && typeof edit.replacement === "string",
    )
  );
}

