// What a person does to files: each acts on the folder on disk, and the pool hears of it.

import { signal } from "@preact/signals";
import { extension, folderOf, join, nameOf } from "./kinds";
import { fileAt, lookAgain } from "./pool";
import { askPerson, tell, tellError } from "./saying";
import { count, shownPath } from "./shown";
import { expect, moved, open } from "./tabs";
import { ask, escapePath, rawAddress } from "./token";
import { unfold } from "./tree";

/** Something that is being named in the tree: a new file or folder, or one that gets another name. */
export interface Naming {
  kind: "file" | "folder" | "rename";
  folder: string;
  path: string; // what is renamed
}

export const naming = signal<Naming | null>(null);

/** The server said no: its sentence. */
export class Refused extends Error {
  constructor(
    public readonly status: number,
    message: string,
  ) {
    super(message);
  }

  /** Something is there already, or has changed meanwhile. */
  get taken(): boolean {
    return this.status === 409 || this.status === 412;
  }
}

export async function answered(answer: Response): Promise<Response> {
  if (answer.ok) return answer;
  let sentence = `The folder's process said ${answer.status}.`;
  try {
    sentence = String(((await answer.json()) as { error?: unknown }).error ?? sentence);
  } catch {
    // no sentence came
  }
  throw new Refused(answer.status, sentence);
}

async function post(what: string, fields: Record<string, string>): Promise<void> {
  const answer = await ask(`/api/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  });
  await answered(answer);
}

/** Write a file that must not be there yet. */
export async function writeNew(path: string, content: BlobPart): Promise<void> {
  const answer = await ask(`/raw/${escapePath(path)}`, {
    method: "PUT",
    headers: { "If-None-Match": "*" },
    body: new Blob([content]),
  });
  await answered(answer);
  lookAgain();
}

/** Ask for a name in the tree. */
export function startNaming(kind: "file" | "folder", folder: string): void {
  if (folder) unfold(folder, true);
  naming.value = { kind, folder, path: "" };
}

export function startRename(path: string): void {
  naming.value = { kind: "rename", folder: folderOf(path), path };
}

/** The name was typed. Throws nothing: says what is wrong, and the field stays. */
export async function finishNaming(name: string): Promise<boolean> {
  const current = naming.value;
  const wanted = name.trim().replace(/^\/+|\/+$/g, "");
  if (!current || !wanted) return true;
  const path = join(current.folder, wanted);
  try {
    if (current.kind === "folder") {
      await post("folder", { path });
      unfold(path, true);
    } else if (current.kind === "file") {
      expect(path);
      await writeNew(path, "");
      open(path, "text");
    } else if (path !== current.path) {
      await move(current.path, path);
    }
    lookAgain();
    return true;
  } catch (error) {
    tellError(
      error instanceof Refused && error.taken
        ? new Error(`There is already something called ${shownPath(path)}.`)
        : error,
    );
    return false;
  }
}

/** Give a file or a folder another path. Never overwrites. */
export async function move(from: string, to: string): Promise<void> {
  await post("move", { from, to });
  moved(from, to);
  lookAgain();
}

/** Move something into a folder, by drag. */
export async function moveInto(path: string, folder: string): Promise<void> {
  const to = join(folder, nameOf(path));
  if (to === path || folder === path || folder.startsWith(`${path}/`)) return;
  try {
    await move(path, to);
    if (folder) unfold(folder, true);
  } catch (error) {
    tellError(error);
  }
}

/** Delete, once the person is sure. */
export async function remove(path: string): Promise<void> {
  const folder = fileAt.value.get(path)?.kind === "folder" || !fileAt.value.has(path);
  const inside = [...fileAt.value.keys()].filter((one) => one.startsWith(`${path}/`)).length;
  const { value } = await askPerson({
    title: folder ? "Delete this folder for everyone?" : "Delete this file for everyone?",
    text: `It goes from everybody's folder${folder && inside ? `, with ${count(inside, "thing")} in it` : ""}. The pool's history keeps what it was.`,
    detail: shownPath(path),
    choices: [
      { label: "Keep", value: "" },
      { label: "Delete", value: "delete", kind: "danger" },
    ],
  });
  if (!value) return;
  try {
    await post("delete", { path });
    lookAgain();
    tell(`${shownPath(nameOf(path))} is deleted.`);
  } catch (error) {
    tellError(error);
  }
}

/** Have the browser keep a copy. */
export function download(path: string): void {
  const anchor = document.createElement("a");
  anchor.href = rawAddress(path, { download: "1" });
  anchor.download = nameOf(path);
  anchor.click();
}

/** Put the text of a file that is gone back from what this page has. */
export async function putBack(path: string, content: string): Promise<boolean> {
  let to = path;
  for (let number = 2; number < 100; number++) {
    try {
      expect(to);
      await writeNew(to, content);
      if (to !== path) {
        tell(`Something else has that name now; your text is in ${shownPath(nameOf(to))}.`);
        open(to, "text");
      }
      return to === path;
    } catch (error) {
      if (!(error instanceof Refused) || !error.taken) {
        tellError(error);
        return false;
      }
      to = numbered(path, number);
    }
  }
  return false;
}

/** "a/b.txt" -> "a/b (2).txt". */
export function numbered(path: string, number: number): string {
  const name = nameOf(path);
  const dot = name.lastIndexOf(".");
  const hasExtension = dot > 0 && extension(path) !== name.toLowerCase();
  const stem = hasExtension ? name.slice(0, dot) : name;
  return join(folderOf(path), `${stem} (${number})${hasExtension ? name.slice(dot) : ""}`);
}
