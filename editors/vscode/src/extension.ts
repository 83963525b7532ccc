// Meerkat in VS Code: which documents are live, the commands, what is drawn. The logic of a text is
// in liveText.ts, which knows nothing of VS Code.

import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";

import { LiveDocument, LiveFolder, forgetStyles } from "./document";
import { People, Place } from "./people";
import { Hearer, Process } from "./process";

let folders: Map<string, Folder>;
let status: vscode.StatusBarItem;
let following: { folder: Folder; name: string } | null = null;

/** The shared folder that holds a file, or null. */
function rootOf(file: string): string | null {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      if (fs.statSync(path.join(folder, ".meerkat")).isDirectory()) {
        return folder;
      }
    } catch {
      // not here: look further up
    }
    if (folder === path.dirname(folder)) {
      return null;
    }
  }
}

/** One shared folder: its process, its documents, its people. */
class Folder implements Hearer, LiveFolder {
  readonly people = new People();
  readonly process: Process;
  readonly documents = new Map<vscode.TextDocument, LiveDocument<Folder>>();
  problem = "";
  private told = false;

  constructor(readonly root: string) {
    const command = vscode.workspace.getConfiguration("meerkat").get<string[]>("command", ["meerkat", "editor"]);
    this.process = new Process(command, root, this);
  }

  showStatus(): void {
    showStatus();
  }

  add(document: vscode.TextDocument): void {
    if (!this.documents.has(document)) {
      const one = new LiveDocument<Folder>(document, this);
      this.documents.set(document, one);
      this.process.start();
      if (this.process.running) {
        one.live.reconnect();
      }
    }
  }

  remove(document: vscode.TextDocument): void {
    this.documents.get(document)?.close();
    this.documents.delete(document);
  }

  started(): void {
    for (const one of this.documents.values()) {
      one.live.reconnect();
    }
    showStatus();
  }

  ended(sentence: string): void {
    this.problem = sentence;
    this.people.clear();
    for (const one of this.documents.values()) {
      one.live.disconnect();
      one.draw();
    }
    this.offline(sentence);
  }

  heard(method: string, params: Record<string, unknown>): void {
    if (method === "cursor") {
      const uri = this.people.hear(params);
      this.find(uri)?.draw();
      if (following?.folder === this) {
        const { name } = following;
        const place = this.people.all().find((one) => one.name === name && one.uri === uri);
        if (place !== undefined) {
          void goTo(place, this);
        }
      }
      showStatus();
      return;
    }
    const one = this.find(params.uri);
    if (one === undefined) {
      return;
    }
    if (method === "edit") {
      one.live.receive(params.revision, params.delta);
    } else if (method === "closed") {
      one.live.closed(String(params.reason ?? ""), String(params.text ?? ""));
    } else if (method === "moved" && typeof params.to === "string") {
      void moved(one, params.to);
    } else if (method === "live") {
      one.live.offline = params.live !== true;
      if (one.live.offline) {
        this.offline("the folder's process is not running");
      } else {
        this.told = false;
      }
      showStatus();
    }
  }

  find(uri: unknown): LiveDocument<Folder> | undefined {
    return [...this.documents.values()].find((one) => one.live.uri === uri);
  }

  private offline(why: string): void {
    if (!this.told) {
      this.told = true;
      void vscode.window.showInformationMessage(
        `Meerkat: not live just now: ${why}. Your edits are kept and sent when it is back.`,
      );
    }
    showStatus();
  }

  stop(): void {
    for (const one of this.documents.values()) {
      one.close();
    }
    this.process.stop();
  }
}

/** The file has another name: VS Code has no way to rename a document, so the other one is opened. */
async function moved(one: LiveDocument<Folder>, to: string): Promise<void> {
  const uri = vscode.Uri.parse(to, true);
  if (uri.scheme !== "file" || rootOf(uri.fsPath) !== one.folder.root) {
    return;
  }
  const old = one.document;
  const shown = vscode.window.visibleTextEditors.filter((editor) => editor.document === old);
  one.folder.remove(old);
  for (const editor of shown) {
    await vscode.window.showTextDocument(uri, {
      viewColumn: editor.viewColumn,
      selection: editor.selection,
      preserveFocus: editor !== vscode.window.activeTextEditor,
      preview: false,
    });
  }
  void vscode.window.showInformationMessage(
    `${path.basename(old.fileName)} is ${path.basename(uri.fsPath)} now.`,
  );
}

function attach(document: vscode.TextDocument): void {
  if (document.uri.scheme !== "file" || document.isClosed) {
    return;
  }
  const root = rootOf(document.fileName);
  if (root === null || document.fileName.startsWith(path.join(root, ".meerkat") + path.sep)) {
    return;
  }
  let folder = folders.get(root);
  if (folder === undefined) {
    folder = new Folder(root);
    folders.set(root, folder);
  }
  folder.add(document);
}

function liveOf(document: vscode.TextDocument | undefined): LiveDocument<Folder> | undefined {
  for (const folder of folders.values()) {
    const one = document && folder.documents.get(document);
    if (one !== undefined) {
      return one;
    }
  }
  return undefined;
}

const STATES: Record<string, string> = {
  new: "waiting for meerkat",
  opening: "opening",
  open: "live",
  waiting: "offline: your edits are kept and sent later",
  refused: "not live",
  closed: "closed",
};

function stateOf(one: LiveDocument): string {
  const { state, offline, reason } = one.live;
  return STATES[state === "open" && offline ? "waiting" : state] + (reason ? ` (${reason})` : "");
}

function showStatus(): void {
  const one = liveOf(vscode.window.activeTextEditor?.document);
  if (one === undefined) {
    status.hide();
    return;
  }
  const names = new Set(one.folder.people.in(one.live.uri).map(({ name }) => name));
  const live = one.live.state === "open" && !one.live.offline;
  const icon = live ? "$(broadcast)" : one.live.state === "refused" ? "$(circle-slash)" : "$(debug-disconnect)";
  status.text = `${icon} ${names.size > 0 ? [...names].join(", ") : "meerkat"}`;
  status.tooltip = `Meerkat: ${stateOf(one)}`;
  status.show();
}

async function goTo(place: Place, folder: Folder): Promise<void> {
  const uri = vscode.Uri.parse(place.uri, true);
  if (uri.scheme !== "file" || rootOf(uri.fsPath) !== folder.root) {
    return;
  }
  const editor = await vscode.window.showTextDocument(uri, { preview: false });
  const range = folder.find(place.uri)?.live.place(place.ranges[0]) ?? place.ranges[0];
  const at = new vscode.Position(range.end.line, range.end.character);
  editor.revealRange(new vscode.Range(at, at), vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}

/** Let the person choose someone. */
async function choose(title: string): Promise<{ place: Place; folder: Folder } | undefined> {
  const items = [...folders.values()].flatMap((folder) =>
    folder.people.all().map((place) => ({
      label: place.name,
      description: `${path.relative(folder.root, vscode.Uri.parse(place.uri).fsPath)}:${place.ranges[0].end.line + 1}`,
      place,
      folder,
    })),
  );
  if (items.length === 0) {
    void vscode.window.showInformationMessage("Meerkat: nobody else is here.");
    return undefined;
  }
  return vscode.window.showQuickPick(items, { title });
}

function unfollow(): void {
  if (following !== null) {
    vscode.window.setStatusBarMessage(`Meerkat: not following ${following.name} any more`, 3000);
    following = null;
  }
}

export function activate(context: vscode.ExtensionContext): void {
  folders = new Map();
  status = vscode.window.createStatusBarItem(vscode.StatusBarAlignment.Right);
  status.command = "meerkat.people";
  context.subscriptions.push(
    status,
    vscode.workspace.onDidOpenTextDocument(attach),
    vscode.workspace.onDidCloseTextDocument((document) => liveOf(document)?.folder.remove(document)),
    vscode.workspace.onDidChangeTextDocument((event) => {
      const one = liveOf(event.document);
      if (one === undefined) {
        return;
      }
      if (event.contentChanges.length === 0) {
        one.unsaved &&= event.document.isDirty; // only that has changed
        return;
      }
      if (one.isFromDisk(event)) {
        one.diskWasRead();
        return;
      }
      one.documentChanged(event);
      if (one.unsaved) {
        unfollow();
      }
    }),
    vscode.workspace.onWillSaveTextDocument((event) => {
      const one = liveOf(event.document);
      if (one !== undefined) {
        event.waitUntil(one.willSave());
      }
    }),
    vscode.workspace.onDidSaveTextDocument((document) => {
      const one = liveOf(document);
      if (one === undefined) {
        attach(document);
        const made = liveOf(document);
        if (made !== undefined) {
          made.tries = 1;
        }
      } else {
        one.saved();
      }
    }),
    vscode.window.onDidChangeTextEditorSelection((event) => {
      liveOf(event.textEditor.document)?.sendCursor();
      if (event.kind !== undefined) {
        unfollow(); // keyboard, mouse or command: the person moved
      }
    }),
    vscode.window.onDidChangeActiveTextEditor(() => {
      for (const folder of folders.values()) {
        for (const one of folder.documents.values()) {
          one.sendCursor();
        }
      }
      showStatus();
    }),
    vscode.window.onDidChangeVisibleTextEditors((editors) => {
      for (const editor of editors) {
        liveOf(editor.document)?.draw();
      }
    }),
    vscode.commands.registerCommand("meerkat.people", async () => {
      const chosen = await choose("Go to someone's cursor");
      if (chosen !== undefined) {
        await goTo(chosen.place, chosen.folder);
      }
    }),
    vscode.commands.registerCommand("meerkat.follow", async () => {
      const chosen = await choose("Follow someone until you press a key");
      if (chosen !== undefined) {
        following = { folder: chosen.folder, name: chosen.place.name };
        await goTo(chosen.place, chosen.folder);
      }
    }),
    vscode.commands.registerCommand("meerkat.info", () => {
      const one = liveOf(vscode.window.activeTextEditor?.document);
      void vscode.window.showInformationMessage(
        one === undefined ? "Meerkat: this file is in no shared folder." : `Meerkat: ${stateOf(one)}.`,
      );
    }),
    { dispose: stop },
  );
  vscode.workspace.textDocuments.forEach(attach);
}

function stop(): void {
  for (const folder of folders.values()) {
    folder.stop();
  }
  folders.clear();
  forgetStyles();
}

export function deactivate(): void {
  stop();
}
