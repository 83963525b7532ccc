// Go to a file, or run a command, by some letters of its name.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { search } from "../model/fuzzy";
import { lookOf } from "../model/kinds";
import { files } from "../model/pool";
import { over } from "../model/saying";
import { shownPath } from "../model/shown";
import { open, tabs } from "../model/tabs";
import type { FileFacts } from "../model/types";
import { type Command, commands } from "./commands";
import { FileIcon, Icon } from "./icons";

type Item = { file: FileFacts } | { command: Command };
const text = (item: Item) => ("file" in item ? item.file.path : item.command.name);

export function Palette() {
  const typed = useSignal("");
  const chosen = useSignal(0);
  const dialog = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => {
    dialog.current?.showModal(); // before the next key: what is typed at once must not be lost
  }, []);
  const onlyCommands = typed.value.startsWith(">");
  const letters = typed.value.replace(/^>/, "");
  const openPaths = new Set(tabs.value.map((tab) => tab.path));
  const allFiles = (files.value ?? [])
    .filter((file) => file.kind !== "folder")
    .map((file): Item => ({ file }));
  const allCommands = commands().map((command): Item => ({ command }));
  const items: Item[] = onlyCommands ? allCommands : [...allFiles, ...allCommands];
  const found = letters.trim()
    ? search(letters, items, text)
    : (onlyCommands
        ? allCommands
        : [
            ...allFiles.filter((item) => openPaths.has(text(item))),
            ...allFiles.filter((item) => !openPaths.has(text(item))),
          ].slice(0, 30)
      ).map((item) => ({ item, score: 0, at: [] as number[] }));
  if (chosen.value >= found.length) chosen.value = Math.max(0, found.length - 1);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [chosen.value, typed.value]);
  const run = (item: Item | undefined) => {
    if (!item) return;
    dialog.current?.close();
    if ("file" in item) open(item.file.path);
    else item.command.run();
  };
  return (
    <dialog
      ref={dialog}
      class="palette"
      aria-label="Go to file"
      onClose={() => {
        if (over.value === "palette") over.value = "";
      }}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) dialog.current?.close();
      }}
    >
      <div class="palette-box">
        <div class="palette-field">
          <Icon name="search" />
          <input
            autofocus
            role="combobox"
            aria-expanded="true"
            aria-controls="palette-list"
            aria-activedescendant={found.length ? `palette-${chosen.value}` : undefined}
            aria-label="Letters of a file's name, or > and a command"
            placeholder="File name, or > for commands"
            spellcheck={false}
            autocomplete="off"
            value={typed.value}
            onInput={(event) => {
              typed.value = event.currentTarget.value;
              chosen.value = 0;
            }}
            onKeyDown={(event) => {
              if (event.key === "ArrowDown")
                chosen.value = (chosen.value + 1) % Math.max(1, found.length);
              else if (event.key === "ArrowUp") {
                chosen.value = (chosen.value - 1 + found.length) % Math.max(1, found.length);
              } else if (event.key === "Enter") run(found[chosen.value]?.item);
              else return;
              event.preventDefault();
            }}
          />
        </div>
        <ul ref={list} id="palette-list" role="listbox" aria-label="Found">
          {found.map(({ item, at }, i) => (
            <li
              key={text(item)}
              id={`palette-${i}`}
              role="option"
              aria-selected={i === chosen.value}
              onPointerMove={() => {
                chosen.value = i;
              }}
              onClick={() => run(item)}
            >
              {"file" in item ? <FileIcon look={lookOf(item.file)} /> : <Icon name="chevron" />}
              <span class="name grow">
                <Marked text={shownPath(text(item))} at={at} />
              </span>
              {"command" in item && item.command.keys && <kbd>{item.command.keys}</kbd>}
            </li>
          ))}
          {!found.length && <li class="empty">Nothing has these letters.</li>}
        </ul>
      </div>
    </dialog>
  );
}

function Marked({ text, at }: { text: string; at: readonly number[] }) {
  if (!at.length) return <>{text}</>;
  const marked = new Set(at);
  const parts: { text: string; on: boolean }[] = [];
  for (let i = 0; i < text.length; i++) {
    const on = marked.has(i);
    const last = parts.at(-1);
    if (last && last.on === on) last.text += text[i];
    else parts.push({ text: text[i]!, on });
  }
  return (
    <>
      {parts.map((part, i) =>
        part.on ? <mark key={i}>{part.text}</mark> : <span key={i}>{part.text}</span>,
      )}
    </>
  );
}
