// Characters that cannot be seen, made readable: CR, control characters, changes of direction.

import { highlightSpecialChars } from "@codemirror/view";

// What CodeMirror marks by itself, and the embeddings and isolates that it leaves out. A line feed
// ends a line; a tab is shown as its width.
const SPECIAL =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffc]/g;

const NAMES: Record<number, string> = {
  173: "SHY",
  1564: "ALM",
  8203: "ZWSP",
  8206: "LRM",
  8207: "RLM",
  8232: "LS",
  8233: "PS",
  8234: "LRE",
  8235: "RLE",
  8236: "PDF",
  8237: "LRO",
  8238: "RLO",
  8288: "WJ",
  8294: "LRI",
  8295: "RLI",
  8296: "FSI",
  8297: "PDI",
  65279: "BOM",
};
// As in ASCII's own table; the pictures of Unicode (U+2400) are missing from many fonts.
const CONTROLS =
  "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(
    " ",
  );

/** "CR" for a carriage return, "RLO" for a change of direction. */
export function markOf(code: number): string {
  return CONTROLS[code] ?? NAMES[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

export const readableMarks = highlightSpecialChars({
  specialChars: SPECIAL,
  render: (code, description) => {
    const mark = document.createElement("span");
    mark.className = code === 13 ? "cm-mark cm-mark-cr" : "cm-mark";
    mark.textContent = markOf(code);
    const words = description ?? mark.textContent;
    mark.title = words;
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", words);
    return mark;
  },
});
