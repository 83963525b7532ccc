// The line at the top: whose folder this is, who is here, how the page stands with the process.

import { link } from "../model/control";
import { follow, following } from "../model/following";
import { present, status } from "../model/pool";
import { over } from "../model/saying";
import { phone, showFiles, showSide, type Theme, theme } from "../model/settings";
import { oneLine } from "../model/shown";
import { Avatar } from "./avatar";
import { Icon, Mark } from "./icons";

const MOST_FACES = 5;
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const THEME_ICON = { auto: "auto", light: "sun", dark: "moon" } as const;
const mac = /Mac|iPhone|iPad/.test(navigator.platform);
export const MOD = mac ? "⌘" : "Ctrl ";

export function Header() {
  const here = present.value.filter((one) => one.here && !one.own);
  return (
    <header class="header">
      <button
        type="button"
        class="quiet only-wide"
        aria-pressed={showFiles.value}
        aria-label="Files panel"
        title={`Files (${MOD}B)`}
        onClick={() => {
          showFiles.value = !showFiles.value;
        }}
      >
        <Icon name="sidebar" />
      </button>
      <Mark />
      <h1 class="pool-name">{oneLine(status.value?.pool_name ?? "") || "meerkat"}</h1>
      <button
        type="button"
        class="search-button"
        aria-label={phone.value ? "Go to file" : undefined}
        aria-keyshortcuts="Control+P Control+K"
        onClick={() => {
          over.value = "palette";
        }}
      >
        <Icon name="search" />
        <span class="only-wide grow">Go to file…</span>
        <kbd class="only-wide">{MOD}K</kbd>
      </button>
      <Standing />
      {!phone.value && (
        <ul class="faces" aria-label="Here now">
          {here.slice(0, MOST_FACES).map((one) => (
            <li key={one.member}>
              <button
                type="button"
                class={following.value?.member === one.member ? "face followed" : "face"}
                title={one.places.length ? `${one.name}: go to their place` : one.name}
                disabled={!one.places.length}
                onClick={() => follow(one)}
              >
                <Avatar name={one.name} color={one.color} />
                <span class="hidden">
                  {one.places.length ? `Go to ${one.name}` : `${one.name}, no file open`}
                </span>
              </button>
            </li>
          ))}
          {here.length > MOST_FACES && <li class="more-faces">+{here.length - MOST_FACES}</li>}
        </ul>
      )}
      <button
        type="button"
        class="quiet"
        aria-label={`Colors: ${theme.value}`}
        title={`Colors: ${theme.value}`}
        onClick={() => {
          theme.value = NEXT[theme.value];
        }}
      >
        <Icon name={THEME_ICON[theme.value]} />
      </button>
      <button
        type="button"
        class="quiet only-wide"
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)"
        onClick={() => {
          over.value = "help";
        }}
      >
        <Icon name="help" />
      </button>
      <button
        type="button"
        class="quiet only-wide"
        aria-pressed={showSide.value}
        aria-label="People, map and chat panel"
        title={`People, map and chat (${MOD}J)`}
        onClick={() => {
          showSide.value = !showSide.value;
        }}
      >
        <Icon name="side" />
      </button>
    </header>
  );
}

/** Only what is not as it should be is said up here. */
function Standing() {
  const state = link.value;
  return (
    <div class="standing" role="status" aria-live="polite">
      {state === "lost" && (
        <span class="pill bad">
          <span class="spinner" /> Connection lost, trying again
        </span>
      )}
      {state === "connecting" && (
        <span class="pill">
          <span class="spinner" /> Connecting
        </span>
      )}
      {state === "open" && status.value?.paused && <span class="pill bad">Paused: disk full</span>}
    </div>
  );
}
