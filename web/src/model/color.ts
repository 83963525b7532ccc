// The color of a person, as the folder's process tells it (core/cursors.py); here only what a color
// needs to be shown.

const PALETTE = ["#d9480f", "#2b8a3e", "#1971c2", "#9c36b5", "#c2255c", "#0c8599", "#5f3dc4"];
const COLOR = /^#[0-9a-f]{6}$/i;

/** A color that somebody else told us, only if it is nothing but a color; else one by an id. */
export function safeColor(color: unknown, id: string): string {
  return typeof color === "string" && COLOR.test(color) ? color : colorOf(id);
}

/** A color for who has none yet. */
export function colorOf(id: string): string {
  let hash = 2166136261; // FNV-1a
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 16777619);
  return PALETTE[(hash >>> 0) % PALETTE.length]!;
}

/** Black or white, whichever reads better on a "#rrggbb" (WCAG's relative luminance). */
export function inkOn(color: string): string {
  const channel = (at: number) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const light = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  return light > 0.179 ? "#000000" : "#ffffff"; // where both give the same contrast
}
