// What people say: to all, or with @name to one.

import { effect, signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { askChat, chat, colorFor, fates, me, present, say, unread } from "../model/pool";
import { sheet, tellError } from "../model/saying";
import { phone, showSide } from "../model/settings";
import { clean, oneLine } from "../model/shown";
import type { ChatFacts } from "../model/types";
import { Icon } from "./icons";

const MOST_CHARS = 8 * 1024; // as the folder's process takes them
const NEAR = 60; // px from the end: who is there wants to see what is new
const SAME = 5 * 60_000; // ms within which lines of one person are one block
const EARLIER = 500; // more lines at once

const draft = signal("");
const field = signal<HTMLTextAreaElement | null>(null);
const shownLimit = signal(200);

/** Begin a line to one. */
export function talkTo(name: string): void {
  if (phone.peek()) sheet.value = "chat";
  else showSide.value = true;
  draft.value = `@${name} `;
  requestAnimationFrame(() => {
    const element = field.peek();
    element?.focus();
    element?.setSelectionRange(element.value.length, element.value.length);
  });
}

/** "@Bob Smith hello" -> to "Bob Smith", "hello": the longest name that fits. */
export function addressee(
  text: string,
  names: readonly string[],
): { to: string; text: string } | null {
  if (!text.startsWith("@")) return { to: "", text };
  const rest = text.slice(1);
  const found = names
    .filter((name) => {
      const begins = rest.toLowerCase().startsWith(name.toLowerCase());
      return begins && (rest.length === name.length || /\s/.test(rest[name.length]!));
    })
    .sort((a, b) => b.length - a.length)[0];
  return found ? { to: found, text: rest.slice(found.length).trim() } : null;
}

export function Chat() {
  const list = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const lines = chat.value;
  useLayoutEffect(() => {
    const element = list.current!;
    if (atEnd.current) element.scrollTop = element.scrollHeight;
  }, [lines, fates.value]);
  useEffect(() => {
    unread.value = 0;
    const stop = effect(() => {
      if (unread.value && !document.hidden) queueMicrotask(() => (unread.value = 0));
    });
    const element = list.current!;
    const watch = new ResizeObserver(() => {
      if (atEnd.current) element.scrollTop = element.scrollHeight;
    });
    watch.observe(element);
    return () => {
      stop();
      watch.disconnect();
    };
  }, []);
  return (
    <div class="chat">
      <div
        ref={list}
        class="chat-lines"
        role="log"
        aria-label="Chat"
        aria-live="polite"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        onScroll={(event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
          atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR;
        }}
      >
        {lines.length >= shownLimit.value && (
          <button
            type="button"
            class="earlier"
            onClick={() => {
              shownLimit.value += EARLIER;
              atEnd.current = false;
              void askChat(shownLimit.value).catch(tellError);
            }}
          >
            Earlier lines
          </button>
        )}
        {lines.length === 0 && <p class="empty">Say something: who is away reads it later.</p>}
        {lines.map((line, i) => (
          <Line key={line.id} line={line} before={lines[i - 1]} />
        ))}
      </div>
      <Writing />
    </div>
  );
}

const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat("en", { weekday: "short", day: "numeric", month: "short" });

function Line({ line, before }: { line: ChatFacts; before: ChatFacts | undefined }) {
  const when = new Date(line.wall_ms);
  const sameBlock =
    before &&
    before.from === line.from &&
    before.to === line.to &&
    line.wall_ms - before.wall_ms < SAME;
  const newDay = !before || new Date(before.wall_ms).toDateString() !== when.toDateString();
  const color = colorFor(line.from);
  const fate = fates.value.get(line.id);
  const isToday = when.toDateString() === new Date().toDateString();
  return (
    <>
      {newDay && !isToday && <div class="chat-day">{day.format(when)}</div>}
      <div class={`line${line.own ? " own" : ""}${line.to ? " private" : ""}`}>
        {!sameBlock && (
          <div class="line-head">
            <span class="dot" style={{ backgroundColor: color }} />
            <b class="name">{line.own ? "You" : oneLine(line.name)}</b>
            {line.to && (
              <span class="line-to">
                {line.to === me.value ? "to you alone" : `to ${oneLine(line.to_name)} alone`}
              </span>
            )}
            <time class="faint" dateTime={when.toISOString()}>
              {clock.format(when)}
            </time>
          </div>
        )}
        <div class="line-text">{clean(line.text)}</div>
        {fate && <div class="line-fate faint">{fate}</div>}
      </div>
    </>
  );
}

function Writing() {
  const names = present.value.filter((one) => !one.own && one.name).map((one) => one.name);
  const own = useRef<HTMLTextAreaElement>(null);
  const chosen = useRef(0);
  useLayoutEffect(() => {
    field.value = own.current;
    return () => {
      field.value = null;
    };
  }, []);
  const text = draft.value;
  useLayoutEffect(() => {
    const element = own.current!;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, 140)}px`;
  }, [text]);
  const at = /^@([^\n]*)$/.exec(text);
  const typedName = at ? at[1]!.toLowerCase() : "";
  const offers =
    at && !addressee(`${text}`, names)
      ? names.filter((name) => name.toLowerCase().startsWith(typedName)).slice(0, 6)
      : [];
  if (chosen.current >= offers.length) chosen.current = 0;
  const take = (name: string) => {
    draft.value = `@${name} `;
    own.current?.focus();
  };
  const send = async () => {
    const said = draft.value.trim();
    if (!said) return;
    const whom = addressee(said, names);
    if (!whom) {
      tellError(new Error("Nobody here has that name. It was not said to anyone."));
      return;
    }
    if (!whom.text) return;
    draft.value = "";
    try {
      await say(whom.text, whom.to);
      if (whom.to) draft.value = draft.value || "";
    } catch (error) {
      if (!draft.value) draft.value = said;
      tellError(error);
    }
  };
  return (
    <form
      class="writing"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      {offers.length > 0 && (
        <div class="offers" role="listbox" aria-label="People" id="chat-offers">
          {offers.map((name, i) => (
            <div
              key={name}
              role="option"
              tabIndex={-1}
              class="offer"
              aria-selected={i === chosen.current}
              onPointerDown={(event) => {
                event.preventDefault();
                take(name);
              }}
            >
              @{name}
            </div>
          ))}
        </div>
      )}
      <textarea
        ref={own}
        rows={1}
        value={text}
        maxLength={MOST_CHARS}
        placeholder="Message, or @name"
        aria-label="Message to everyone, or @name and a message to one"
        aria-controls={offers.length ? "chat-offers" : undefined}
        onInput={(event) => {
          draft.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (offers.length && (event.key === "Tab" || event.key === "Enter") && !event.shiftKey) {
            event.preventDefault();
            take(offers[chosen.current]!);
          } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            void send();
          } else if (event.key === "Escape") {
            own.current?.blur();
          }
        }}
      />
      <button type="submit" class="quiet" aria-label="Send" disabled={!text.trim()}>
        <Icon name="send" />
      </button>
    </form>
  );
}
