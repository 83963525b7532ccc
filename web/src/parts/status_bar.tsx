// The line at the bottom: linked, saved, synced; and where one is in the text.

import { languageOf } from "../editor/languages";
import { link } from "../model/control";
import { otherViewOf } from "../model/kinds";
import { fileAt, status } from "../model/pool";
import { over } from "../model/saying";
import { wrap } from "../model/settings";
import { count, size } from "../model/shown";
import { active, showAs, type Tab } from "../model/tabs";
import { spot } from "./editor_pane";
import { Icon } from "./icons";

export function StatusBar() {
  const tab = active.value;
  const place = spot.value;
  const language = tab?.text ? languageOf(tab.path)?.name : undefined;
  return (
    <footer class="status-bar">
      <Pool />
      <Saved />
      <Transfers />
      <span class="grow" />
      {tab?.text && place && (
        <>
          <span class="faint only-wide">
            {place.line}:{place.column}
            {place.chosen > 0 && ` (${place.chosen} chosen)`}
          </span>
          <button
            type="button"
            class="status-button"
            aria-pressed={wrap.value}
            title="Wrap long lines (Alt Z)"
            onClick={() => {
              wrap.value = !wrap.value;
            }}
          >
            Wrap
          </button>
          <OtherView tab={tab} />
          <span class="faint only-wide">{language ?? "Text"}</span>
        </>
      )}
    </footer>
  );
}

function OtherView({ tab }: { tab: Tab }) {
  const view = otherViewOf(fileAt.value.get(tab.path));
  if (!view) return null;
  return (
    <button type="button" class="status-button" onClick={() => showAs(tab, view)}>
      <Icon name="eye" size={13} /> Preview
    </button>
  );
}

function Pool() {
  const now = status.value;
  const state = link.value;
  if (state !== "open" || !now) {
    return (
      <span class="status-item bad">
        <span class="light off" /> {state === "connecting" ? "Connecting…" : "Not connected"}
      </span>
    );
  }
  const peers = now.peers.length;
  const troubles = now.conflicts.length + now.problems.length;
  return (
    <button
      type="button"
      class="status-button"
      title="What is synced"
      onClick={() => {
        over.value = "status";
      }}
    >
      <span class={`light ${peers ? (now.in_sync ? "on" : "busy") : "alone"}`} />
      {peers ? count(peers, "link") : "Nobody linked"}
      {peers > 0 && <span class="faint">{now.in_sync ? "in sync" : "syncing…"}</span>}
      {troubles > 0 && (
        <span class="warn">
          <Icon name="warning" size={13} /> {troubles}
        </span>
      )}
    </button>
  );
}

function Saved() {
  const text = active.value?.text;
  if (!text || text.state.value === "over" || text.state.value === "opening") return null;
  const saved = text.saved.value;
  return (
    <span class={`status-item saved ${saved}`} role="status" aria-live="polite">
      {saved === "saved" && (
        <>
          <Icon name="check" size={13} /> Saved
        </>
      )}
      {saved === "sending" && "Saving…"}
      {saved === "unsent" && "Kept in this tab"}
    </span>
  );
}

function Transfers() {
  const now = status.value;
  const list = now ? [...now.transfers, ...now.reading] : [];
  if (!list.length) return null;
  const done = list.reduce((sum, one) => sum + one.done_bytes, 0);
  const total = list.reduce((sum, one) => sum + one.total_bytes, 0);
  return (
    <span class="status-item only-wide">
      <progress max={Math.max(1, total)} value={done} aria-label="Files on their way" />
      <span class="faint">
        {count(list.length, "file")}, {size(done)} of {size(total)}
      </span>
    </span>
  );
}
