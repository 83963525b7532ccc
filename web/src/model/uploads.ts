// Files that are dropped onto the page: two at a time, with progress, and a question before anything
// that is there already is replaced.

import { computed, signal } from "@preact/signals";
import { numbered, Refused } from "./deeds";
import { join } from "./kinds";
import { fileAt, lookAgain } from "./pool";
import { askPerson, tell } from "./saying";
import { count, shownPath, size } from "./shown";
import { ask, escapePath, getToken } from "./token";

export interface Upload {
  id: number;
  path: string;
  total: number;
  done: number;
  state: "waiting" | "going" | "done" | "failed" | "skipped";
  problem: string;
}

interface Item {
  path: string;
  file: File | null; // null: a folder
}

export const uploads = signal<Upload[]>([]);
export const uploading = computed(() =>
  uploads.value.some((one) => one.state === "waiting" || one.state === "going"),
);

const AT_ONCE = 2;
const STAYS = 3000; // ms that a list of finished ones is shown
const MOST_ITEMS = 10_000;
const queue: { upload: Upload; file: File }[] = [];
let running = 0;
let lastId = 0;
let forAll = "";
/** One question at a time. */
let asking: Promise<unknown> = Promise.resolve();

/** What was dropped: files, and folders with all that is in them. */
export async function takeDrop(transfer: DataTransfer, folder: string): Promise<void> {
  // The list is emptied as soon as the event is over, so the entries are taken at once.
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const items: Item[] = [];
  for (const { entry, file } of entries) {
    if (entry) await walk(entry, folder, items);
    else if (file) items.push({ path: join(folder, file.name), file });
  }
  await take(items);
}

/** What was chosen in the browser's window. */
export function takeFiles(list: Iterable<File>, folder: string): Promise<void> {
  return take(
    [...list].map((file) => ({ path: join(folder, file.webkitRelativePath || file.name), file })),
  );
}

async function walk(entry: FileSystemEntry, folder: string, items: Item[]): Promise<void> {
  if (items.length >= MOST_ITEMS) return;
  const path = join(folder, entry.name);
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    items.push({ path, file });
    return;
  }
  items.push({ path, file: null });
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!some.length) return; // a reader gives a hundred at a time
    for (const one of some) await walk(one, path, items);
  }
}

async function take(items: Item[]): Promise<void> {
  if (!uploading.value) {
    uploads.value = [];
    forAll = "";
  }
  for (const item of items) {
    if (item.file) {
      const upload: Upload = {
        id: ++lastId,
        path: item.path,
        total: item.file.size,
        done: 0,
        state: "waiting",
        problem: "",
      };
      queue.push({ upload, file: item.file });
      uploads.value = [...uploads.value, upload];
    } else if (!fileAt.value.has(item.path)) {
      await ask("/api/folder", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ path: item.path }),
      }).catch(() => undefined);
    }
  }
  while (running < AT_ONCE && queue.length) void work();
}

async function work(): Promise<void> {
  running++;
  for (let next = queue.shift(); next; next = queue.shift()) {
    const { upload, file } = next;
    note(upload, { state: "going" });
    try {
      const sent = await send(upload, file);
      note(upload, sent ? { state: "done", done: upload.total } : { state: "skipped" });
    } catch (error) {
      note(upload, {
        state: "failed",
        problem: error instanceof Error ? error.message : String(error),
      });
    }
    lookAgain();
  }
  running--;
  if (!running) finish();
}

function finish(): void {
  const failed = uploads.value.filter((one) => one.state === "failed");
  const done = uploads.value.filter((one) => one.state === "done");
  if (failed.length) {
    tell(`${count(failed.length, "file")} could not be uploaded: ${failed[0]!.problem}`, {
      bad: true,
    });
  } else if (done.length) {
    tell(`${count(done.length, "file")} uploaded.`);
    window.setTimeout(() => {
      if (!uploading.value) uploads.value = [];
    }, STAYS);
  } else {
    uploads.value = [];
  }
}

async function send(upload: Upload, file: File): Promise<boolean> {
  let path = upload.path;
  let condition: Record<string, string> = { "If-None-Match": "*" };
  for (let number = 2; ; ) {
    try {
      await put(path, file, condition, (done) => note(upload, { done }));
      return true;
    } catch (error) {
      if (!(error instanceof Refused) || !error.taken) throw error;
    }
    note(upload, { done: 0 });
    const choice = await conflict(path, file);
    if (choice === "replace") {
      const there = await ask(`/raw/${escapePath(path)}`, { method: "HEAD" });
      const etag = there.headers.get("ETag");
      condition = there.ok && etag ? { "If-Match": etag } : { "If-None-Match": "*" };
    } else if (choice === "both") {
      path = numbered(upload.path, number++);
      note(upload, { path });
      condition = { "If-None-Match": "*" };
    } else {
      return false;
    }
  }
}

function conflict(path: string, file: File): Promise<string> {
  if (forAll) return Promise.resolve(forAll);
  const mine = asking.then(async () => {
    if (forAll) return forAll;
    const there = fileAt.value.get(path);
    const answer = await askPerson({
      title: "There is a file with this name already",
      text: `Yours has ${size(file.size)}${there ? `, the one that is there ${size(there.size)}` : ""}. The pool's history keeps what is replaced.`,
      detail: shownPath(path),
      choices: [
        { label: "Skip", value: "" },
        { label: "Keep both", value: "both", kind: "main" },
        { label: "Replace", value: "replace", kind: "danger" },
      ],
      forAll: "The same for all others",
    });
    const value = answer.value || "skip";
    if (answer.forAll) forAll = value;
    return value;
  });
  asking = mine;
  return mine;
}

/** A PUT that tells how far it is. */
function put(
  path: string,
  file: File,
  headers: Record<string, string>,
  progress: (done: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/raw/${escapePath(path)}`);
    request.setRequestHeader("Authorization", `Bearer ${getToken()}`);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () => reject(new Error("the connection was lost"));
    request.onload = () => {
      if (request.status < 300) {
        resolve();
        return;
      }
      let sentence = `the folder's process said ${request.status}`;
      try {
        sentence = String((JSON.parse(request.responseText) as { error?: unknown }).error);
      } catch {
        // no sentence came
      }
      reject(new Refused(request.status, sentence));
    };
    request.send(file);
  });
}

function note(upload: Upload, change: Partial<Upload>): void {
  Object.assign(upload, change);
  uploads.value = uploads.value.map((one) => (one.id === upload.id ? { ...upload } : one));
}
