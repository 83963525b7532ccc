// What became of a text that is open: lines above the editor that say so and what one can do.

import type { EditorView } from "@codemirror/view";
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { putBack } from "../model/deeds";
import { following, stopFollowing } from "../model/following";
import { tell } from "../model/saying";
import { oneLine, shownPath } from "../model/shown";
import { close, openAnew, type Tab } from "../model/tabs";
import { compare } from "./compare";
import { Icon, type IconName } from "./icons";

const busy = signal(false);

export function Notices({ tab, view }: { tab: Tab; view: () => EditorView | null }) {
  const live = tab.text!;
  const notice = live.notice.value;
  const whom = following.value;
  return (
    <>
      {live.state.value === "offline" && (
        <Banner icon="network" kind="calm">
          <p>
            Not connected. Go on typing: it is kept in this tab, and sent when the folder is back.
          </p>
        </Banner>
      )}
      {whom?.path === tab.path && (
        <Banner icon="eye" kind="follow" color={whom.color}>
          <p>Following {whom.name}. Any key stops.</p>
          <button type="button" onClick={stopFollowing}>
            Stop
          </button>
        </Banner>
      )}
      {notice?.kind === "ended" && (
        <Banner icon="warning" kind="bad">
          <p>{oneLine(notice.sentence) || "This text is no more; what you see was its last."}</p>
          <button
            type="button"
            disabled={busy.value}
            onClick={() => {
              busy.value = true;
              void putBack(tab.path, live.content)
                .then((same) => {
                  if (same) openAnew(tab);
                })
                .finally(() => {
                  busy.value = false;
                });
            }}
          >
            Put it back from here
          </button>
          <button type="button" onClick={() => void copy(live.content)}>
            Copy it
          </button>
          <button type="button" onClick={() => openAnew(tab)}>
            Open anew
          </button>
          <button type="button" onClick={() => void close(tab.id)}>
            Close
          </button>
        </Banner>
      )}
      {notice?.kind === "missing" && (
        <Banner icon="warning" kind="bad">
          <p>{oneLine(notice.sentence) || `There is no text called ${shownPath(tab.path)}.`}</p>
          <button type="button" onClick={() => openAnew(tab)}>
            Try again
          </button>
          <button type="button" onClick={() => void close(tab.id)}>
            Close
          </button>
        </Banner>
      )}
      {notice?.kind === "trouble" && (
        <Banner icon="warning" kind="bad">
          <p>This text could not be opened: {oneLine(notice.sentence)}</p>
          <button type="button" onClick={() => openAnew(tab)}>
            Try again
          </button>
        </Banner>
      )}
      {notice?.kind === "mine" && (
        <Banner icon="edit" kind="bad">
          <p>
            While this tab was away the text was begun anew. What you had typed meanwhile is not in
            it.
          </p>
          <button type="button" onClick={() => void compare(tab, notice.mine, view)}>
            Show my version
          </button>
          <button type="button" onClick={() => void copy(notice.mine)}>
            Copy it
          </button>
          <button
            type="button"
            onClick={() => {
              live.notice.value = null;
            }}
          >
            Let it go
          </button>
        </Banner>
      )}
    </>
  );
}

function Banner(props: {
  icon: IconName;
  kind: "bad" | "calm" | "follow";
  color?: string;
  children: ComponentChildren;
}) {
  return (
    <div
      class={`banner ${props.kind}`}
      role={props.kind === "bad" ? "alert" : "status"}
      style={props.color ? { borderColor: props.color } : undefined}
    >
      <Icon name={props.icon} />
      {props.children}
    </div>
  );
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    tell("Copied.");
  } catch {
    tell("The browser did not let the page copy; use Show my version and copy there.", {
      bad: true,
    });
  }
}
