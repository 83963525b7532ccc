// Chance that can be repeated (mulberry32).

const PIECES = ["a", "b", "é", "e\u0301", "😀", "👩‍👩‍👧", "x y", "漢", "\n", "\n", "\t"];

export class Chance {
  constructor(private state: number) {}

  /** A whole number from 0 to `end` - 1. */
  below(end: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % end;
  }

  one<T>(of: readonly T[]): T {
    return of[this.below(of.length)];
  }

  /** A text of up to `size` pieces. */
  text(size: number): string {
    return Array.from({ length: this.below(size + 1) }, () => this.one(PIECES)).join("");
  }
}
