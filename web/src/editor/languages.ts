// Syntax by a file's name. Each language is loaded when the first text of its kind is opened.

import {
  LanguageDescription,
  LanguageSupport,
  StreamLanguage,
  type StreamParser,
} from "@codemirror/language";
import { extension, nameOf } from "../model/kinds";

interface Known {
  name: string;
  /** Characters beyond which it is not used. */
  most?: number;
  load: () => Promise<LanguageSupport>;
}

const old = (parser: StreamParser<unknown>) => new LanguageSupport(StreamLanguage.define(parser));

const script = (options: { typescript?: boolean; jsx?: boolean }) => () =>
  import("@codemirror/lang-javascript").then((found) => found.javascript(options));

const javascript: Known = { name: "JavaScript", load: script({ jsx: true }) };
const typescript: Known = { name: "TypeScript", load: script({ typescript: true }) };
const tsx: Known = { name: "TSX", load: script({ typescript: true, jsx: true }) };
const python: Known = {
  name: "Python",
  load: () => import("@codemirror/lang-python").then((found) => found.python()),
};
const markdown: Known = {
  name: "Markdown",
  most: 200_000, // a paragraph is parsed in one go: measured, 1.5 s a key in one of 3.8 MB
  load: () =>
    import("@codemirror/lang-markdown").then((found) =>
      found.markdown({ base: found.markdownLanguage, codeLanguages: inFence }),
    ),
};
const html: Known = {
  name: "HTML",
  load: () => import("@codemirror/lang-html").then((found) => found.html()),
};
const css: Known = {
  name: "CSS",
  load: () => import("@codemirror/lang-css").then((found) => found.css()),
};
const json: Known = {
  name: "JSON",
  load: () => import("@codemirror/lang-json").then((found) => found.json()),
};
const xml: Known = {
  name: "XML",
  load: () => import("@codemirror/lang-xml").then((found) => found.xml()),
};
const yaml: Known = {
  name: "YAML",
  load: () => import("@codemirror/lang-yaml").then((found) => found.yaml()),
};
const rust: Known = {
  name: "Rust",
  load: () => import("@codemirror/lang-rust").then((found) => found.rust()),
};
const go: Known = {
  name: "Go",
  load: () => import("@codemirror/lang-go").then((found) => found.go()),
};
const java: Known = {
  name: "Java",
  load: () => import("@codemirror/lang-java").then((found) => found.java()),
};
const cpp: Known = {
  name: "C++",
  load: () => import("@codemirror/lang-cpp").then((found) => found.cpp()),
};
const php: Known = {
  name: "PHP",
  load: () => import("@codemirror/lang-php").then((found) => found.php()),
};
const sql: Known = {
  name: "SQL",
  load: () => import("@codemirror/lang-sql").then((found) => found.sql()),
};
const shell: Known = {
  name: "Shell",
  load: () => import("@codemirror/legacy-modes/mode/shell").then((found) => old(found.shell)),
};
const toml: Known = {
  name: "TOML",
  load: () => import("@codemirror/legacy-modes/mode/toml").then((found) => old(found.toml)),
};
const ini: Known = {
  name: "Properties",
  load: () =>
    import("@codemirror/legacy-modes/mode/properties").then((found) => old(found.properties)),
};
const docker: Known = {
  name: "Dockerfile",
  load: () =>
    import("@codemirror/legacy-modes/mode/dockerfile").then((found) => old(found.dockerFile)),
};
const diff: Known = {
  name: "Diff",
  load: () => import("@codemirror/legacy-modes/mode/diff").then((found) => old(found.diff)),
};
const ruby: Known = {
  name: "Ruby",
  load: () => import("@codemirror/legacy-modes/mode/ruby").then((found) => old(found.ruby)),
};
const lua: Known = {
  name: "Lua",
  load: () => import("@codemirror/legacy-modes/mode/lua").then((found) => old(found.lua)),
};
const swift: Known = {
  name: "Swift",
  load: () => import("@codemirror/legacy-modes/mode/swift").then((found) => old(found.swift)),
};
const clike = (name: string, key: "kotlin" | "csharp" | "scala" | "dart"): Known => ({
  name,
  load: () => import("@codemirror/legacy-modes/mode/clike").then((found) => old(found[key])),
});
const tex: Known = {
  name: "LaTeX",
  load: () => import("@codemirror/legacy-modes/mode/stex").then((found) => old(found.stex)),
};
const r: Known = {
  name: "R",
  load: () => import("@codemirror/legacy-modes/mode/r").then((found) => old(found.r)),
};
const proto: Known = {
  name: "Protocol Buffers",
  load: () => import("@codemirror/legacy-modes/mode/protobuf").then((found) => old(found.protobuf)),
};

const BY_EXTENSION: Record<string, Known> = {};
for (const [extensions, known] of [
  ["js mjs cjs jsx", javascript],
  ["ts mts cts", typescript],
  ["tsx", tsx],
  ["py pyi pyw", python],
  ["md markdown mdx", markdown],
  ["html htm xhtml vue svelte", html],
  ["css scss less", css],
  ["json jsonc jsonl geojson webmanifest ipynb", json],
  ["xml svg xsl rss atom plist", xml],
  ["yaml yml", yaml],
  ["rs", rust],
  ["go", go],
  ["java", java],
  ["c h cc cpp cxx hh hpp ino", cpp],
  ["php", php],
  ["sql", sql],
  ["sh bash zsh fish profile bashrc zshrc", shell],
  ["toml", toml],
  ["ini cfg conf properties env editorconfig gitconfig service", ini],
  ["dockerfile containerfile", docker],
  ["diff patch", diff],
  ["rb rake gemfile", ruby],
  ["lua", lua],
  ["swift", swift],
  ["kt kts", clike("Kotlin", "kotlin")],
  ["cs", clike("C#", "csharp")],
  ["scala", clike("Scala", "scala")],
  ["dart", clike("Dart", "dart")],
  ["tex sty cls", tex],
  ["r", r],
  ["proto", proto],
] as const) {
  for (const one of extensions.split(" ")) BY_EXTENSION[one] = known;
}

/** The language of a file, if its name tells. */
export function languageOf(path: string): Known | null {
  const name = nameOf(path).toLowerCase();
  if (name.startsWith("dockerfile")) return docker;
  return BY_EXTENSION[extension(path)] ?? null;
}

const described = new Map<Known, LanguageDescription>();

/** The language that a fence in Markdown names: "python", "py", "c++". */
function inFence(info: string): LanguageDescription | null {
  const word = /^[\w+#-]+/.exec(info)?.[0].toLowerCase();
  if (!word) return null;
  const known =
    BY_EXTENSION[word] ??
    Object.values(BY_EXTENSION).find((one) => one.name.toLowerCase() === word);
  if (!known || known === markdown) return null;
  let found = described.get(known); // one for each: it remembers that it was loaded
  if (!found) {
    found = LanguageDescription.of(known);
    described.set(known, found);
  }
  return found;
}
