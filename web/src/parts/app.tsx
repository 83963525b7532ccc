// The page: files on the left, what is open in the middle, people, map and chat on the right. On a
// phone the panels are sheets over the editor, with a bar at the bottom to bring them up.

import type { ComponentChildren, TargetedPointerEvent } from "preact";
import { useEffect } from "preact/hooks";
import { link } from "../model/control";
import { unread } from "../model/pool";
import { over, type Sheet, sheet } from "../model/saying";
import {
  closedSections,
  filesWidth,
  phone,
  showFiles,
  showSide,
  sideWidth,
} from "../model/settings";
import { active, tabs } from "../model/tabs";
import { Chat } from "./chat";
import { onKey } from "./commands";
import { Compare } from "./compare";
import { DatabasePane, dropDatabases } from "./database_pane";
import { Dialogs, Toasts } from "./dialogs";
import { dropEditors, EditorPane } from "./editor_pane";
import { FilesPanel } from "./files_panel";
import { Header, MOD } from "./header";
import { Icon, type IconName, Mark } from "./icons";
import { Menu } from "./menu";
import { NetworkMap, networkWords } from "./network_map";
import { Palette } from "./palette";
import { People } from "./people";
import { Preview } from "./preview";
import { StatusBar } from "./status_bar";
import { TabBar } from "./tab_bar";
import { dropInto } from "./tree";

const NARROWEST = 160; // px of a panel
const WIDEST = 640;

export function App() {
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  useEffect(() => {
    dropEditors(tabs.value);
    dropDatabases(tabs.value);
  }, [tabs.value]);
  if (link.value === "refused") return <AskForLink />;
  return (
    <div class={phone.value ? "page phone" : "page"} {...dropInto("")}>
      <Header />
      <div class="body">
        {!phone.value && showFiles.value && (
          <nav class="panel files" aria-label="Files" style={{ width: `${filesWidth.value}px` }}>
            <FilesPanel />
            <Grip label="Width of the files panel" width={filesWidth} toRight />
          </nav>
        )}
        <Middle />
        {!phone.value && showSide.value && (
          <aside
            class="panel side"
            aria-label="People, map and chat"
            style={{ width: `${sideWidth.value}px` }}
          >
            <Section name="People" kind="fit">
              <People />
            </Section>
            <Section
              name="Network"
              kind="fit"
              words={networkWords()}
              action={
                <button
                  type="button"
                  class="quiet"
                  aria-label="Show the network large"
                  title="Show large (Alt M)"
                  onClick={() => {
                    over.value = "network";
                  }}
                >
                  <Icon name="wide" size={14} />
                </button>
              }
            >
              <NetworkMap />
            </Section>
            <Section name="Chat" kind="fill">
              <Chat />
            </Section>
            <Grip label="Width of the right panel" width={sideWidth} />
          </aside>
        )}
      </div>
      <StatusBar />
      {phone.value && <PhoneBar />}
      {phone.value && sheet.value && <SheetOver which={sheet.value} />}
      {over.value === "palette" && <Palette />}
      <Dialogs />
      <Compare />
      <Menu />
      <Toasts />
    </div>
  );
}

function Middle() {
  const tab = active.value;
  return (
    <main class="middle">
      <TabBar />
      <div
        id="middle"
        class="middle-body"
        role={tab ? "tabpanel" : undefined}
        aria-labelledby={tab ? `tab-${tab.id}` : undefined}
      >
        {!tab && <Welcome />}
        {tab?.text && <EditorPane key={tab.id} tab={tab} />}
        {tab?.view === "database" && <DatabasePane key={tab.id} tab={tab} />}
        {tab && !tab.text && tab.view !== "database" && <Preview key={tab.id} tab={tab} />}
      </div>
    </main>
  );
}

function Welcome() {
  return (
    <div class="welcome">
      <Mark />
      <p>Choose a file to write together.</p>
      <p class="faint only-wide">
        <kbd>{MOD}K</kbd> finds one by its name, <kbd>?</kbd> lists the keys. Drop files anywhere to
        share them.
      </p>
    </div>
  );
}

function AskForLink() {
  return (
    <main class="gate">
      <div class="gate-box">
        <Mark />
        <h1>This page needs its link</h1>
        <p>
          Run <code>meerkat web</code> in the folder and open the address that it prints. It holds
          the key to the folder, so that no other page can get in.
        </p>
      </div>
    </main>
  );
}

function Section(props: {
  name: string;
  kind: "fit" | "fill";
  words?: string;
  action?: ComponentChildren;
  children: ComponentChildren;
}) {
  const closed = closedSections.value.includes(props.name);
  return (
    <section class={`section ${props.kind}${closed ? " closed" : ""}`} aria-label={props.name}>
      <div class="section-head">
        <button
          type="button"
          class="section-name"
          aria-expanded={!closed}
          onClick={() => {
            closedSections.value = closed
              ? closedSections.value.filter((one) => one !== props.name)
              : [...closedSections.value, props.name];
          }}
        >
          <span class={closed ? "twist" : "twist open"}>
            <Icon name="chevron" size={12} />
          </span>
          <h2>{props.name}</h2>
          {props.words && <span class="faint section-words">{props.words}</span>}
        </button>
        {!closed && props.action}
      </div>
      {!closed && props.children}
    </section>
  );
}

/** The edge of a panel, to be dragged, or moved by arrow keys. */
function Grip(props: { label: string; width: { value: number }; toRight?: boolean }) {
  const { width } = props;
  const sign = props.toRight ? 1 : -1;
  const set = (wanted: number) => {
    width.value = Math.round(Math.max(NARROWEST, Math.min(WIDEST, wanted)));
  };
  const onDown = (event: TargetedPointerEvent<HTMLDivElement>) => {
    const element = event.currentTarget;
    const from = event.clientX;
    const before = width.value;
    element.setPointerCapture(event.pointerId);
    const move = (now: PointerEvent) => set(before + sign * (now.clientX - from));
    element.addEventListener("pointermove", move);
    const end = () => element.removeEventListener("pointermove", move);
    element.addEventListener("pointerup", end, { once: true });
    element.addEventListener("pointercancel", end, { once: true });
  };
  return (
    <div
      class="grip"
      role="separator"
      aria-orientation="vertical"
      aria-label={props.label}
      aria-valuenow={width.value}
      aria-valuemin={NARROWEST}
      aria-valuemax={WIDEST}
      tabIndex={0}
      onPointerDown={onDown}
      onKeyDown={(event) => {
        if (event.key === "ArrowLeft") set(width.value - sign * 16);
        else if (event.key === "ArrowRight") set(width.value + sign * 16);
        else return;
        event.preventDefault();
      }}
    />
  );
}

const SHEETS: { name: Sheet; label: string; icon: IconName }[] = [
  { name: "files", label: "Files", icon: "folder" },
  { name: "", label: "Text", icon: "edit" },
  { name: "people", label: "People", icon: "people" },
  { name: "network", label: "Map", icon: "network" },
  { name: "chat", label: "Chat", icon: "chat" },
];

function PhoneBar() {
  return (
    <nav class="phone-bar" aria-label="Panels">
      {SHEETS.map((one) => (
        <button
          key={one.label}
          type="button"
          aria-pressed={sheet.value === one.name}
          onClick={() => {
            sheet.value = sheet.value === one.name ? "" : one.name;
          }}
        >
          <Icon name={one.icon} size={20} />
          <span>{one.label}</span>
          {one.name === "chat" && unread.value > 0 && sheet.value !== "chat" && (
            <span class="badge">
              {unread.value}
              <span class="hidden"> new</span>
            </span>
          )}
        </button>
      ))}
    </nav>
  );
}

function SheetOver({ which }: { which: Sheet }) {
  useEffect(() => {
    const onEscape = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) sheet.value = "";
    };
    addEventListener("keydown", onEscape);
    return () => removeEventListener("keydown", onEscape);
  }, []);
  const name = SHEETS.find((one) => one.name === which)?.label ?? "";
  return (
    <section class={`sheet ${which}`} aria-label={name}>
      {which === "files" && <FilesPanel />}
      {which !== "files" && (
        <div class="panel-head">
          <h2>{name}</h2>
          <button
            type="button"
            class="quiet"
            aria-label="Close"
            onClick={() => {
              sheet.value = "";
            }}
          >
            <Icon name="close" />
          </button>
        </div>
      )}
      {which === "people" && <People />}
      {which === "network" && <NetworkMap large />}
      {which === "chat" && <Chat />}
    </section>
  );
}
