// What is asked and shown above the page: questions, help, the network, what is synced.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { status } from "../model/pool";
import { dismiss, over, type Question, question, toasts } from "../model/saying";
import { count, oneLine, shownPath, size } from "../model/shown";
import { open } from "../model/tabs";
import { KEYS } from "./commands";
import { Icon } from "./icons";
import { NetworkMap, NetworkTable } from "./network_map";

export function Dialogs() {
  const asked = question.value;
  return (
    <>
      {over.value === "help" && <Help />}
      {over.value === "network" && <Network />}
      {over.value === "status" && <Synced />}
      {asked && <Asked key={asked.title + asked.detail} asked={asked} />}
    </>
  );
}

function Box(props: { title: string; wide?: boolean; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    dialog.current?.showModal(); // before the next key: what is typed at once must not be lost
  }, []);
  return (
    <dialog
      ref={dialog}
      class={props.wide ? "box wide" : "box"}
      aria-labelledby="box-title"
      onClose={() => {
        over.value = "";
      }}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) dialog.current?.close();
      }}
    >
      <div class="box-inner">
        <div class="dialog-head">
          <h2 id="box-title">{props.title}</h2>
          <button
            type="button"
            class="quiet"
            aria-label="Close"
            onClick={() => dialog.current?.close()}
          >
            <Icon name="close" />
          </button>
        </div>
        {props.children}
      </div>
    </dialog>
  );
}

function Help() {
  return (
    <Box title="Keyboard shortcuts">
      <div class="help">
        {KEYS.map((part) => (
          <section key={part.head}>
            <h3>{part.head}</h3>
            <dl>
              {part.keys.map(([keys, what]) => (
                <div key={keys}>
                  <dt>
                    <kbd>{keys}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Box>
  );
}

function Network() {
  return (
    <Box title="Network" wide>
      <NetworkMap large />
      <NetworkTable />
      <p class="faint">
        Every peer tells all others of its links, at a slow beat: the picture is a few seconds old.
        A link that only one side tells of is dashed.
      </p>
    </Box>
  );
}

function Synced() {
  const now = status.value;
  if (!now) return null;
  const go = (path: string) => {
    over.value = "";
    open(path);
  };
  return (
    <Box title="What is synced">
      <dl class="facts">
        <div>
          <dt>Folder</dt>
          <dd class="name">{oneLine(now.folder)}</dd>
        </div>
        <div>
          <dt>Holds</dt>
          <dd>
            {count(now.files, "file")}, {count(now.folders, "folder")}, {size(now.content_bytes)}
          </dd>
        </div>
        <div>
          <dt>Links</dt>
          <dd>
            {now.peers.length
              ? now.peers
                  .map((peer) => `${oneLine(peer.name)}${peer.in_sync ? "" : " (syncing)"}`)
                  .join(", ")
              : "nobody just now"}
          </dd>
        </div>
        <div>
          <dt>State</dt>
          <dd>
            {now.in_sync
              ? now.peers.length
                ? "everyone linked has the same, and the disk holds it"
                : "this disk holds all that is known here"
              : `${count(now.pending_files, "path")} still to come`}
          </dd>
        </div>
        <div>
          <dt>Lamport clock</dt>
          <dd>{now.lamport.toLocaleString("en")}</dd>
        </div>
      </dl>
      {now.conflicts.length > 0 && (
        <section>
          <h3>Kept twice</h3>
          <p class="faint">Keep what you want and delete or rename the other: that settles it.</p>
          <ul class="conflicts">
            {now.conflicts.map((one) => (
              <li key={one.copy}>
                <button type="button" class="path" onClick={() => go(one.path)}>
                  {shownPath(one.path)}
                </button>
                <button type="button" class="path" onClick={() => go(one.copy)}>
                  {shownPath(one.copy)}
                </button>
                <span class="faint">by {oneLine(one.name)}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {now.problems.length > 0 && (
        <section>
          <h3>Problems</h3>
          <ul class="problems">
            {now.problems.map((one) => (
              <li key={one.path + one.text}>
                {one.path && <b>{shownPath(one.path)}: </b>}
                {oneLine(one.text)}
              </li>
            ))}
          </ul>
        </section>
      )}
    </Box>
  );
}

function Asked({ asked }: { asked: Question }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const forAll = useRef<HTMLInputElement>(null);
  const done = useRef(false);
  useLayoutEffect(() => {
    dialog.current?.showModal(); // before the next key: what is typed at once must not be lost
  }, []);
  const answer = (value: string) => {
    if (done.current) return;
    done.current = true;
    asked.answer(value, forAll.current?.checked ?? false);
  };
  return (
    <dialog
      ref={dialog}
      class="box ask"
      aria-labelledby="ask-title"
      aria-describedby="ask-text"
      onClose={() => answer("")}
    >
      <div class="box-inner">
        <h2 id="ask-title">{asked.title}</h2>
        {asked.detail && <p class="ask-detail">{asked.detail}</p>}
        <p id="ask-text">{asked.text}</p>
        {asked.forAll && (
          <label class="check">
            <input ref={forAll} type="checkbox" /> {asked.forAll}
          </label>
        )}
        <div class="dialog-foot">
          {asked.choices.map((choice) => (
            <button
              key={choice.value}
              type="button"
              class={choice.kind ?? "plain"}
              onClick={() => answer(choice.value)}
            >
              {choice.label}
            </button>
          ))}
        </div>
      </div>
    </dialog>
  );
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={toast.bad ? "toast bad" : "toast"}>
          <span class="grow">{toast.text}</span>
          {toast.action && (
            <button
              type="button"
              onClick={() => {
                toast.action?.run();
                dismiss(toast.id);
              }}
            >
              {toast.action.label}
            </button>
          )}
          <button
            type="button"
            class="quiet"
            aria-label="Dismiss"
            onClick={() => dismiss(toast.id)}
          >
            <Icon name="close" size={12} />
          </button>
        </div>
      ))}
    </div>
  );
}
