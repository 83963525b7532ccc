// A text of a meerkat folder in Monaco: nothing here is meerkat's own but the address.

import * as monaco from "monaco-editor";
import EditorWorker from "monaco-editor/esm/vs/editor/editor.worker?worker";
import { MonacoBinding } from "y-monaco";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

self.MonacoEnvironment = { getWorker: () => new EditorWorker() };

const form = document.getElementById("form");
const state = document.getElementById("state");
const editor = monaco.editor.create(document.getElementById("editor"), {
  automaticLayout: true,
  readOnly: true,
});
const colors = document.head.appendChild(document.createElement("style"));
let close = () => {};

/** y-monaco marks the others by class names; the colors are the page's business. */
function showColors(awareness) {
  const rules = [];
  for (const [client, { user }] of awareness.getStates()) {
    const color = /^#[0-9a-f]{6}$/i.test(user?.color) ? user.color : "#888888";
    const name = CSS.escape(String(user?.name ?? ""));
    rules.push(
      `.yRemoteSelection-${client} { background: ${color}33 }`,
      `.yRemoteSelectionHead-${client} { position: absolute; height: 1.4em; border-left: 2px solid ${color} }`,
      `.yRemoteSelectionHead-${client}::after { position: absolute; top: -1.2em; padding: 0 4px; content: "${name}"; color: #fff; background: ${color}; font: 11px system-ui }`,
    );
  }
  colors.textContent = rules.join("\n");
}

function open(address, path) {
  close();
  const url = new URL(address);
  const token = new URLSearchParams(url.hash.slice(1)).get("token") ?? "";
  const room = path.split("/").map(encodeURIComponent).join("/");

  const doc = new Y.Doc();
  const text = doc.getText("text"); // every text of the folder has this name inside its document
  const provider = new WebsocketProvider(`ws://${url.host}/yjs`, room, doc, {
    params: { token },
    disableBc: true, // only the folder's process may join the documents of two tabs
  });
  provider.awareness.setLocalStateField("user", { name: "monaco", color: "#5f3dc4" });

  provider.awareness.on("change", () => showColors(provider.awareness));

  let binding;
  let model;
  provider.on("sync", (synced) => {
    if (!synced || binding) return;
    if (text.toString().includes("\r")) {
      // Monaco knows one kind of line end per text and counts them otherwise than Yjs.
      state.textContent = "This text has carriage returns, which Monaco would change: not opened.";
      provider.disconnect();
      return;
    }
    const uri = monaco.Uri.from({ scheme: "meerkat", path: `/${path}` });
    model = monaco.editor.createModel("", undefined, uri); // the language follows from the name
    model.setEOL(monaco.editor.EndOfLineSequence.LF);
    editor.setModel(model);
    binding = new MonacoBinding(text, model, new Set([editor]), provider.awareness);
    editor.updateOptions({ readOnly: false });
    state.textContent = `${path} is live.`;
  });
  provider.on("status", ({ status }) => {
    if (binding) state.textContent = status === "connected" ? `${path} is live.` : `${path}: ${status}`;
  });
  provider.on("closed", ({ code, reason }) => {
    // 4401 token, 4404 no such text, 4409 open again with a fresh document, 4410 it is no more
    state.textContent = `${reason || "Closed"} (${code})`;
    editor.updateOptions({ readOnly: true });
    if (code === 4409) open(address, path);
  });

  close = () => {
    binding?.destroy();
    model?.dispose();
    provider.destroy();
    doc.destroy();
  };
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  open(form.address.value, form.path.value);
});
