// What is open, in a row.

import { useEffect, useRef } from "preact/hooks";
import { lookOf, nameOf } from "../model/kinds";
import { fileAt } from "../model/pool";
import { shownPath } from "../model/shown";
import { activeId, close, step, type Tab, tabs } from "../model/tabs";
import { FileIcon, Icon } from "./icons";

export function TabBar() {
  const list = tabs.value;
  const box = useRef<HTMLDivElement>(null);
  const front = activeId.value;
  useEffect(() => {
    box.current
      ?.querySelector(".tab.front")
      ?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [front, list.length]);
  if (!list.length) return null;
  return (
    <div
      ref={box}
      class="tab-bar"
      role="tablist"
      aria-label="Open files"
      onWheel={(event) => {
        if (!event.deltaX) event.currentTarget.scrollLeft += event.deltaY;
      }}
    >
      {list.map((tab) => (
        <OneTab key={tab.id} tab={tab} />
      ))}
    </div>
  );
}

function OneTab({ tab }: { tab: Tab }) {
  const front = tab.id === activeId.value;
  const file = fileAt.value.get(tab.path);
  const name = shownPath(nameOf(tab.path));
  const twin = tabs.value.some((one) => one !== tab && nameOf(one.path) === nameOf(tab.path));
  const saved = tab.text?.saved.value ?? "saved";
  const over = tab.text?.state.value === "over";
  return (
    <div class={`tab${front ? " front" : ""}${over ? " over" : ""}`} role="presentation">
      <button
        type="button"
        role="tab"
        id={`tab-${tab.id}`}
        class="tab-name"
        aria-selected={front}
        aria-controls="middle"
        tabIndex={front ? 0 : -1}
        title={shownPath(tab.path)}
        onClick={() => {
          activeId.value = tab.id;
        }}
        onAuxClick={(event) => {
          if (event.button === 1) void close(tab.id);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowRight") step(1);
          else if (event.key === "ArrowLeft") step(-1);
          else if (event.key === "Delete") void close(tab.id);
          else return;
          event.preventDefault();
          requestAnimationFrame(() => document.getElementById(`tab-${activeId.value}`)?.focus());
        }}
      >
        {file && <FileIcon look={lookOf(file)} />}
        <span class="name">{name}</span>
        {twin && (
          <span class="faint">{shownPath(tab.path.slice(0, -nameOf(tab.path).length - 1))}</span>
        )}
        {saved !== "saved" && <span class={`tab-dot ${saved}`} title="On its way" />}
      </button>
      <button
        type="button"
        class="tab-close"
        tabIndex={-1}
        aria-hidden="true" // a tab list has tabs alone; Delete and Alt W close as well
        title={`Close ${name}`}
        onClick={() => void close(tab.id)}
      >
        <Icon name="close" size={12} />
      </button>
    </div>
  );
}
