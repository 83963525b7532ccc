// Other people's cursors: what is known of them.

import { isRange } from "./surface";
import { Range } from "./rows";

const MAX_PLACES = 500; // cursors we remember in one folder
const MAX_RANGES = 100; // selections of one cursor
const MAX_NAME = 40; // characters of a name that are shown
const COLORS = ["#e05561", "#42b3c2", "#d18f52", "#4aa5f0", "#8cc265", "#c162de", "#de73a8", "#b9a03d"];

export interface Place {
  user: string;
  name: string;
  color: string;
  uri: string;
  ranges: Range[];
}

/** A name that may be shown: no control characters, not too long. */
export function shownName(name: unknown): string {
  if (typeof name !== "string") {
    return "someone";
  }
  const clean = name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, " ").trim();
  return [...clean].slice(0, MAX_NAME).join("") || "someone";
}

/** The color that came, or one by the user's id. */
export function colorOf(color: unknown, user: string): string {
  if (typeof color === "string" && /^#[0-9a-f]{6}$/i.test(color)) {
    return color;
  }
  let sum = 0;
  for (const char of user) {
    sum = (sum * 31 + char.codePointAt(0)!) % 65536;
  }
  return COLORS[sum % COLORS.length];
}

/** Everybody's cursors in one folder. */
export class People {
  private places = new Map<string, Place>();

  /** Take in a `cursor` notification; the URI whose cursors changed, or null for nonsense. */
  hear(params: Record<string, unknown>): string | null {
    const { userid, uri, ranges } = params;
    if (typeof userid !== "string" || typeof uri !== "string" || !Array.isArray(ranges)) {
      return null;
    }
    const key = `${userid}\n${uri}`;
    const good = ranges.slice(0, MAX_RANGES).filter(isRange);
    if (good.length === 0) {
      return this.places.delete(key) ? uri : null;
    }
    if (!this.places.has(key) && this.places.size >= MAX_PLACES) {
      return null;
    }
    this.places.set(key, {
      user: userid,
      name: shownName(params.name),
      color: colorOf(params.color, userid),
      uri,
      ranges: good,
    });
    return uri;
  }

  in(uri: string): Place[] {
    return this.all().filter((place) => place.uri === uri);
  }

  all(): Place[] {
    return [...this.places.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  clear(): void {
    this.places.clear();
  }
}
