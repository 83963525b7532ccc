// Going to where somebody is, and staying with them until one does something oneself.

import type { EditorView } from "@codemirror/view";
import { effect, signal } from "@preact/signals";
import type { Caret } from "../editor/cursors";
import { goTo, look } from "../editor/setup";
import { type Present, present } from "./pool";
import { tell } from "./saying";
import { shownPath } from "./shown";
import { active, open } from "./tabs";

export interface Followed {
  member: string;
  name: string;
  color: string;
  path: string;
}

/** Whom we go along with. */
export const following = signal<Followed | null>(null);
/** Whose place we want to see once their caret is known: set by a click, done by the editor. */
const wanted = signal<{ name: string; color: string; path: string } | null>(null);
const carets = new WeakMap<EditorView, readonly Caret[]>();

/** Go to a person's place and stay with them; again: stop. */
export function follow(person: Present): void {
  if (following.value?.member === person.member) {
    stopFollowing();
    return;
  }
  const current = active.value?.path;
  const place = person.places.find((one) => one.path === current) ?? person.places[0];
  if (!place) {
    tell(`${person.name} has no text open.`);
    return;
  }
  following.value = {
    member: person.member,
    name: person.name,
    color: person.color,
    path: place.path,
  };
  wanted.value = { name: person.name, color: person.color, path: place.path };
  open(place.path);
}

export function stopFollowing(): void {
  if (following.value) following.value = null;
  wanted.value = null;
}

function theirs(found: readonly Caret[], who: { name: string; color: string }): Caret | undefined {
  const same = found.filter((caret) => caret.color === who.color);
  const named = same.filter((caret) => caret.name === who.name);
  return (named.length ? named : same).sort((a, b) => b.at - a.at)[0];
}

/** The carets in a text moved. */
export function onCarets(found: readonly Caret[], view: EditorView, path: string): void {
  carets.set(view, found);
  if (active.peek()?.path !== path) return;
  const who = wanted.value?.path === path ? wanted.value : null;
  if (who) {
    const caret = theirs(found, who);
    if (!caret) return;
    wanted.value = null;
    later(() => goTo(view, caret.head));
    return;
  }
  const whom = following.value;
  if (whom?.path === path) {
    const caret = theirs(found, whom);
    if (caret) later(() => look(view, caret.head));
  }
}

/** An editor came to the front: what was wanted before may be there already. */
export function onShown(view: EditorView, path: string): void {
  const found = carets.get(view);
  if (found) onCarets(found, view, path);
}

/** An editor must not be told to scroll while it takes in a change. */
function later(run: () => void): void {
  requestAnimationFrame(run);
}

/** When who we follow goes to another file, so do we. */
export function watchFollowing(): void {
  effect(() => {
    const whom = following.value;
    if (!whom) return;
    const person = present.value.find((one) => one.member === whom.member);
    if (!person?.places.length) {
      queueMicrotask(() => {
        if (following.peek() === whom) {
          stopFollowing();
          tell(`${whom.name} has left ${shownPath(whom.path)}.`);
        }
      });
    } else if (!person.places.some((place) => place.path === whom.path)) {
      const path = person.places[0]!.path;
      queueMicrotask(() => {
        following.value = { ...whom, path };
        wanted.value = { name: whom.name, color: whom.color, path };
        open(path);
      });
    }
  });
}
