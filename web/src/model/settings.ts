// What a person chose for this browser. Kept in localStorage; without it, for this page.

import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

function kept<T>(name: string, otherwise: T): T {
  try {
    const value = localStorage.getItem(`meerkat.${name}`);
    return value === null ? otherwise : (JSON.parse(value) as T);
  } catch {
    return otherwise;
  }
}

function setting<T>(name: string, otherwise: T) {
  const value = signal<T>(kept(name, otherwise));
  effect(() => {
    const now = JSON.stringify(value.value);
    try {
      localStorage.setItem(`meerkat.${name}`, now);
    } catch {
      // not kept
    }
  });
  return value;
}

export const theme = setting<Theme>("theme", "auto");
export const wrap = setting<boolean>("wrap", true);
export const showFiles = setting<boolean>("files", true);
/** Where there is little room it lies over the editor, so it begins closed (as in the style sheet). */
export const showSide = setting<boolean>("side", !matchMedia("(max-width: 1000px)").matches);
export const filesWidth = setting<number>("filesWidth", 248);
export const sideWidth = setting<number>("sideWidth", 312);
export const closedSections = setting<string[]>("closedSections", []);

/** The theme as an attribute, which the style sheet turns into `color-scheme`. */
export function showTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");
/** A narrow screen: panels are sheets. The width is in the style sheet too. */
export const phone = signal(false);
const narrow = matchMedia("(max-width: 760px)");
phone.value = narrow.matches;
narrow.addEventListener("change", () => {
  phone.value = narrow.matches;
});
