// Values of SQLite as control lines carry them (control/cells.py), and as a person types them.

/** NULL, text, a number; or what JSON cannot say: see control/cells.py and control/tables.py. */
export type Value =
  | null
  | string
  | number
  | { integer: string }
  | { real: string }
  | { blob: string }
  | { raw_text: string }
  | { bytes: number }
  | { start: string };

export type Kind = "null" | "integer" | "real" | "text" | "blob";

const INTEGER = /^[+-]?\d+$/;
const REAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

/** SQLite's storage class. */
export function kindOf(value: Value): Kind {
  if (value === null) return "null";
  if (typeof value === "string") return "text";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "real";
  if ("integer" in value) return "integer";
  if ("real" in value) return "real";
  if ("start" in value || "raw_text" in value) return "text";
  return "blob";
}

/** A value as it can be typed; what is no text is written as SQL would. */
export function typed(value: Value): string {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  if ("integer" in value) return value.integer;
  if ("real" in value) return value.real;
  if ("start" in value) return value.start;
  return "";
}

/** What was typed, as a value of a kind; undefined if it is none. */
export function parse(text: string, kind: Kind): Value | undefined {
  const plain = text.trim();
  switch (kind) {
    case "null":
      return null;
    case "text":
      return text;
    case "integer": {
      if (!INTEGER.test(plain)) return undefined;
      const exact = BigInt(plain.replace(/^\+/, ""));
      if (exact < LEAST || exact > MOST) return undefined;
      return { integer: exact.toString() };
    }
    case "real":
      return REAL.test(plain) ? { real: plain } : undefined;
    case "blob":
      return undefined;
  }
}

/** What a column that was declared so likes best (SQLite's affinity). */
export function affinity(type: string): Kind {
  const upper = type.toUpperCase();
  if (upper.includes("INT")) return "integer";
  if (/CHAR|CLOB|TEXT/.test(upper)) return "text";
  if (/REAL|FLOA|DOUB/.test(upper)) return "real";
  return "text";
}

/** What a person most likely means by what was typed into a cell that held nothing yet. */
export function guess(text: string, type: string): Kind {
  const wanted = affinity(type);
  const number = wanted !== "text" || (type !== "" && !/CHAR|CLOB|TEXT|DATE|TIME/i.test(type));
  if (number && parse(text, "integer") !== undefined) return wanted === "real" ? "real" : "integer";
  if (number && parse(text, "real") !== undefined) return "real";
  return "text";
}

/** A key as a string, to compare and to look up by. */
export function keyText(key: readonly Value[]): string {
  return JSON.stringify(key.map((one) => (typeof one === "number" ? { integer: `${one}` } : one)));
}
