// Finding a path by some of its letters, in order.

export interface Found<T> {
  item: T;
  score: number;
  at: number[]; // indexes of the letters that fit
}

const BEGIN = 9; // a letter that begins a word
const NEXT = 6; // a letter right after the one before
const IN_NAME = 3; // a letter in the name rather than in the folders above
const MOST = 50; // results

/** How well letters fit a text; null if they do not. */
export function fit(letters: string, text: string): { score: number; at: number[] } | null {
  const low = text.toLowerCase();
  const name = text.lastIndexOf("/") + 1;
  // From the end backwards: so letters are found in the name first.
  const at: number[] = [];
  let from = low.length - 1;
  for (let i = letters.length - 1; i >= 0; i--) {
    const found = low.lastIndexOf(letters[i]!, from);
    if (found < 0) return null;
    at.unshift(found);
    from = found - 1;
  }
  const whole = low.indexOf(letters, name);
  if (whole >= 0) for (let i = 0; i < letters.length; i++) at[i] = whole + i;
  let score = -text.length / 20;
  at.forEach((index, i) => {
    const before = text[index - 1] ?? "/";
    if (/[/\s._-]/.test(before)) score += BEGIN;
    if (i > 0 && at[i - 1] === index - 1) score += NEXT;
    if (index >= name) score += IN_NAME;
  });
  return { score, at };
}

/** The best first. */
export function search<T>(
  typed: string,
  items: readonly T[],
  text: (item: T) => string,
): Found<T>[] {
  const letters = typed.toLowerCase().replace(/\s+/g, "");
  const found: Found<T>[] = [];
  for (const item of items) {
    const fits = fit(letters, text(item));
    if (fits) found.push({ item, ...fits });
  }
  return found
    .sort((a, b) => b.score - a.score || (text(a.item) < text(b.item) ? -1 : 1))
    .slice(0, MOST);
}
