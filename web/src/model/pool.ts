// What the page knows of the folder and of who is here: signals, asked anew when an event says so.

import { batch, computed, signal } from "@preact/signals";
import { colorOf, safeColor } from "./color";
import { ask, link, onEvent, onOpen } from "./control";
import { Fresh } from "./fresh";
import { oneLine } from "./shown";
import type { ChatFacts, Event, FileFacts, NetworkFacts, PersonFacts, StatusFacts } from "./types";

export const status = signal<StatusFacts | null>(null);
export const files = signal<FileFacts[] | null>(null);
export const people = signal<PersonFacts[]>([]);
export const network = signal<NetworkFacts | null>(null);
export const chat = signal<ChatFacts[]>([]);
/** What became of a line that was said to one: its id -> a few words. */
export const fates = signal<ReadonlyMap<string, string>>(new Map());
/** Lines heard since the person last looked. */
export const unread = signal(0);
/** Somebody said or did something: the map lets their node glow. */
export const pulse = signal<{ member: string; at: number } | null>(null);

const MOST_CHAT = 2000; // lines kept in the page
const FIRST_CHAT = 200; // lines asked for at first
const BUSY_EVERY = 1000; // ms between two looks at transfers
const CALM_EVERY = 5000; // ms between two looks at everything, in case an event says nothing of it

export const fileAt = computed(() => new Map((files.value ?? []).map((file) => [file.path, file])));
export const ownName = computed(() => oneLine(status.value?.name ?? ""));
export const me = computed(() => status.value?.member ?? "");
/** Members by id, in the color that everyone sees them in. */
export const colors = computed(
  () =>
    new Map(
      (status.value?.members ?? []).map((one) => [one.member, safeColor(one.color, one.member)]),
    ),
);
/** A member's color. */
export const colorFor = (member: string) => colors.value.get(member) ?? colorOf(member);
/** The color that the others see us in. */
export const ownColor = computed(() => colorFor(me.value));

/** Everyone who is here: one entry a member, with what they have open. */
export interface Present {
  member: string;
  name: string;
  color: string;
  own: boolean;
  linked: boolean;
  here: boolean;
  places: PersonFacts[];
}

export const present = computed<Present[]>(() => {
  const found = new Map<string, Present>();
  const own = me.value;
  for (const member of status.value?.members ?? []) {
    found.set(member.member, {
      member: member.member,
      name: oneLine(member.name),
      color: colorFor(member.member),
      own: member.member === own,
      linked: member.linked,
      here: member.linked || member.member === own,
      places: [],
    });
  }
  for (const node of network.value?.nodes ?? []) {
    const one = found.get(node.member);
    if (one && node.here) one.here = true;
  }
  for (const person of people.value) {
    let one = found.get(person.member);
    if (!one) {
      one = {
        member: person.member,
        name: oneLine(person.name),
        color: colorFor(person.member),
        own: person.own,
        linked: false,
        here: true,
        places: [],
      };
      found.set(person.member, one);
    }
    one.here = true;
    one.places.push(person);
  }
  return [...found.values()].sort(
    (a, b) =>
      Number(b.own) - Number(a.own) ||
      Number(b.here) - Number(a.here) ||
      a.name.localeCompare(b.name),
  );
});

/** Path -> who else has it open. */
export const placesOf = computed(() => {
  const found = new Map<string, PersonFacts[]>();
  for (const person of people.value) {
    const here = found.get(person.path);
    if (here) here.push(person);
    else found.set(person.path, [person]);
  }
  return found;
});

const freshStatus = new Fresh(
  () => ask<StatusFacts>("status"),
  (value) => {
    status.value = value;
  },
  150,
);
const freshFiles = new Fresh(
  () => ask<{ files: FileFacts[] }>("list_files"),
  (value) => {
    files.value = value.files;
  },
  60,
);
const freshPeople = new Fresh(
  () => ask<{ people: PersonFacts[] }>("people"),
  (value) => {
    people.value = value.people;
  },
  60,
);
const freshNetwork = new Fresh(
  () => ask<NetworkFacts>("network"),
  (value) => {
    network.value = value;
  },
  300,
);

/** Look at the files again: something was done that the folder's process will notice. */
export function lookAgain(): void {
  freshFiles.soon();
  freshStatus.soon();
}

/** Earlier lines of the chat. */
export async function askChat(limit = FIRST_CHAT): Promise<void> {
  const { lines } = await ask<{ lines: ChatFacts[] }>("chat_history", { limit });
  const known = new Set(lines.map((line) => line.id));
  chat.value = [...lines, ...chat.value.filter((line) => !known.has(line.id))].slice(-MOST_CHAT);
}

/** Say something: to all, or to one. Returns the line's id. */
export async function say(text: string, to = ""): Promise<string> {
  const { id } = await ask<{ id: string }>("say", { text, to });
  return id;
}

function hear(event: Event): void {
  switch (event.event) {
    case "chat":
      hearChat(event as unknown as ChatFacts & Event);
      break;
    case "delivered":
    case "waiting":
      noteFate(event);
      break;
    case "files":
      freshFiles.soon();
      break;
    case "people":
      freshPeople.soon();
      break;
    case "resync":
      askEverything();
      return;
    case "rows": // what the open tables hear themselves
    case "stopped":
      return;
  }
  if (event.event !== "people" && event.event !== "network") freshStatus.soon();
  if (NETWORK.has(event.event)) freshNetwork.soon();
}

const NETWORK = new Set([
  "presence",
  "peer_linked",
  "peer_lost",
  "member_joined",
  "renamed",
  "network",
]);

function hearChat(line: ChatFacts): void {
  if (chat.value.some((one) => one.id === line.id)) return;
  batch(() => {
    chat.value = [...chat.value, line].slice(-MOST_CHAT);
    pulse.value = { member: line.from, at: performance.now() };
    if (!line.own && !line.old) unread.value++;
  });
}

function noteFate(event: Event): void {
  const hops = Number(event.hops ?? 0);
  const words =
    event.event === "waiting"
      ? "waits until they are back"
      : hops > 0
        ? `arrived, ${hops === 1 ? "1 hop" : `${hops} hops`}, ${Math.round(Number(event.seconds ?? 0) * 1000)} ms`
        : "arrived";
  const next = new Map(fates.value);
  next.set(String(event.id), words);
  fates.value = next;
}

function askEverything(): void {
  freshStatus.soon();
  freshFiles.soon();
  freshPeople.soon();
  freshNetwork.soon();
  void askChat().catch(() => undefined);
}

/** Listen from now on. */
export function watchPool(): void {
  onEvent(hear);
  onOpen(() => {
    void ask("subscribe").catch(() => undefined);
    askEverything();
  });
  let ticks = 0;
  window.setInterval(() => {
    if (document.hidden || link.value !== "open") return;
    const now = status.value;
    const busy = now && (now.pending_files || now.transfers.length || now.reading.length);
    if (busy || ++ticks % (CALM_EVERY / BUSY_EVERY) === 0) {
      freshStatus.soon();
      if (ticks % (CALM_EVERY / BUSY_EVERY) === 0) freshNetwork.soon();
    }
  }, BUSY_EVERY);
}
