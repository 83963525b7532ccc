// One WebSocket with the folder's process: questions with answers, and events.
//
// It connects again by itself, at first at once and then more slowly. Whoever shows something asks
// anew after each connection (`onOpen`): events that were missed are not replayed.

import { signal } from "@preact/signals";
import { getToken, socketAddress } from "./token";
import type { Event } from "./types";

export type Link = "connecting" | "open" | "lost" | "refused";

const FIRST_DELAY = 250; // ms before the second try
const MOST_DELAY = 4000; // ms; a process that comes back is seen soon enough
const GROWTH = 1.7;
const PATIENCE = 30_000; // ms for an answer; the node gives up after 20 s itself
const REFUSED = 4401;

export class Refusal extends Error {}

interface Waiting {
  resolve: (result: Record<string, unknown>) => void;
  reject: (error: Error) => void;
  timer: number;
}

/** How the page stands with the folder's process. */
export const link = signal<Link>("connecting");
/** When the connection was lost (ms, of performance.now), for as long as it is. */
export const lostSince = signal(0);

const waiting = new Map<number, Waiting>();
const listeners = new Set<(event: Event) => void>();
const openers = new Set<() => void>();
let socket: WebSocket | null = null;
let number = 0;
let tries = 0;
let timer = 0;
let stopped = true;

/** Connect, and stay connected. */
export function start(): void {
  stopped = false;
  tries = 0;
  link.value = "connecting";
  connect();
}

/** Hear every event; returns how to stop that. */
export function onEvent(listener: (event: Event) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Be called after every connection that was made; returns how to stop that. */
export function onOpen(opener: () => void): () => void {
  openers.add(opener);
  return () => openers.delete(opener);
}

/**
 * Ask the folder's process.
 *
 * Throws a Refusal with a sentence for people if it says no, or is not there.
 */
export function ask<T = Record<string, unknown>>(
  what: string,
  fields: Record<string, unknown> = {},
): Promise<T> {
  const current = socket;
  if (!current || current.readyState !== WebSocket.OPEN) {
    return Promise.reject(new Refusal("The folder's process is not connected just now."));
  }
  const id = ++number;
  return new Promise<T>((resolve, reject) => {
    const giveUp = window.setTimeout(() => {
      waiting.delete(id);
      reject(new Refusal("No answer came; try again."));
    }, PATIENCE);
    waiting.set(id, { resolve: (result) => resolve(result as T), reject, timer: giveUp });
    current.send(JSON.stringify({ ask: what, id, ...fields }));
  });
}

function connect(): void {
  window.clearTimeout(timer);
  const address = `${socketAddress("/ws")}?${new URLSearchParams({ token: getToken() })}`;
  const mine = new WebSocket(address);
  socket = mine;
  mine.onopen = () => {
    tries = 0;
    link.value = "open";
    for (const opener of openers) opener();
  };
  mine.onmessage = (message) => {
    if (typeof message.data === "string") hear(message.data);
  };
  mine.onclose = (close) => {
    if (socket !== mine) return;
    socket = null;
    for (const one of waiting.values()) {
      window.clearTimeout(one.timer);
      one.reject(new Refusal("The connection to the folder's process was lost."));
    }
    waiting.clear();
    lost(close.code);
  };
}

function hear(line: string): void {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line);
  } catch {
    return;
  }
  if (typeof value.event === "string") {
    for (const listener of listeners) listener(value as Event);
    return;
  }
  const asked = waiting.get(value.id as number);
  if (!asked) return;
  waiting.delete(value.id as number);
  window.clearTimeout(asked.timer);
  if (value.error) asked.reject(new Refusal(String(value.error)));
  else asked.resolve((value.result ?? {}) as Record<string, unknown>);
}

function lost(code: number): void {
  const wasOpen = link.value === "open";
  if (code === REFUSED) {
    stopped = true;
    link.value = "refused";
    return;
  }
  if (wasOpen || !lostSince.value) lostSince.value = performance.now();
  link.value = "lost";
  const delay = tries ? Math.min(MOST_DELAY, FIRST_DELAY * GROWTH ** tries) : 0;
  tries++;
  if (!stopped) timer = window.setTimeout(connect, delay * (0.75 + Math.random() / 2));
}

function tryNow(): void {
  if (!stopped && !socket && !document.hidden) connect();
}

addEventListener("online", tryNow);
addEventListener("focus", tryNow);
document.addEventListener("visibilitychange", tryNow);
