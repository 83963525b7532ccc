// What a file is, by its name: which picture it gets, and how it is shown if it is no live text.

import type { FileFacts } from "./types";

export type Look =
  | "folder"
  | "text"
  | "code"
  | "data"
  | "image"
  | "sound"
  | "film"
  | "pdf"
  | "archive"
  | "database"
  | "link"
  | "binary";

export type View = "text" | "image" | "pdf" | "sound" | "film" | "link" | "database" | "other";

const LOOKS: Record<Exclude<Look, "folder" | "link" | "binary">, string> = {
  text: "txt md markdown rst org tex adoc log",
  code: "py js mjs cjs ts tsx jsx rs go c h cc cpp hpp java kt swift rb php sh bash zsh fish lua pl r sql html htm css scss vue svelte ex exs erl hs ml scala cs fs dart zig nix el clj make mk dockerfile",
  data: "json jsonl yaml yml toml ini cfg conf csv tsv xml env lock proto graphql",
  image: "png jpg jpeg gif webp avif bmp ico svg",
  sound: "mp3 ogg oga opus wav flac m4a aac",
  film: "mp4 webm ogv mov m4v mkv",
  pdf: "pdf",
  archive: "zip tar gz tgz bz2 xz zst 7z rar whl jar deb",
  database: "db sqlite sqlite3",
};

const byExtension = new Map<string, Look>();
for (const [look, extensions] of Object.entries(LOOKS)) {
  for (const extension of extensions.split(" ")) byExtension.set(extension, look as Look);
}

/** "md" of "notes/a.md"; a name without a dot is its own: "Makefile" -> "makefile". */
export function extension(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  const dot = name.lastIndexOf(".");
  return dot < 0 ? name : name.slice(dot + 1);
}

export function lookOf(file: FileFacts): Look {
  if (file.kind === "folder" || file.kind === "link" || file.kind === "database") return file.kind;
  return byExtension.get(extension(file.path)) ?? (file.kind === "text" ? "text" : "binary");
}

/** How a file opens. What is a text is edited live, but for a PDF that happens to be one. */
export function viewOf(file: FileFacts): View {
  if (file.kind === "text" && lookOf(file) !== "pdf") return "text";
  if (file.kind === "link") return "link";
  if (file.kind === "database") return "database";
  const look = lookOf(file);
  return look === "image" || look === "sound" || look === "film" || look === "pdf" ? look : "other";
}

/** How a text can also be looked at: an SVG as a picture. */
export function otherViewOf(file: FileFacts | undefined): View | null {
  if (file?.kind !== "text") return null;
  const look = lookOf(file);
  return look === "image" || look === "pdf" ? look : null;
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

export function join(folder: string, name: string): string {
  return folder ? `${folder}/${name}` : name;
}
