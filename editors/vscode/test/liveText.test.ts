import assert from "node:assert/strict";
import test from "node:test";

import { LiveText } from "../src/liveText";
import { Listener, Surface } from "../src/surface";
import { Edit, rowsOf, textOf, applied, inOrder } from "../src/rows";
import { Chance } from "./chance";
import { Agenda, Editor, Node, settled } from "./simulated";

const URI = "file:///folder/a";

/** Let everything happen, in any order that can be. */
async function calm(agenda: Agenda, chance: Chance): Promise<void> {
  await settled();
  for (let steps = 0; agenda.queues.length > 0; steps++) {
    assert.ok(steps < 20_000, "it never comes to rest");
    await agenda.step(chance.one(agenda.queues));
  }
}

function join(agenda: Agenda, node: Node, name: string, content: string): Editor {
  const editor = new Editor(agenda, content, name);
  let time = 0;
  editor.live = new LiveText(URI, editor, node.server(name, editor), editor, () => (time += 100_000), false);
  editor.live.open();
  return editor;
}

/** A random edit of the person's, that cuts no character in half. */
function typeSomething(chance: Chance, editor: Editor): void {
  const chars = [...editor.shown];
  const from = chance.below(chars.length + 1);
  const gone = chance.below(3) === 0 ? Math.min(chance.below(6), chars.length - from) : 0;
  const units = (count: number): number => chars.slice(0, count).join("").length;
  editor.type(units(from), units(from + gone) - units(from), chance.text(3));
}

for (let seed = 1; seed <= 300; seed++) {
  test(`two editors and others, whatever crosses: seed ${seed}`, async () => {
    const chance = new Chance(seed);
    const agenda = new Agenda();
    const node = new Node(agenda, chance.text(20));
    const editors = [join(agenda, node, "ada", node.text), join(agenda, node, "bob", chance.text(20))];
    for (let turn = 0; turn < 60; turn++) {
      const what = chance.below(10);
      if (what < 3) {
        typeSomething(chance, chance.one(editors));
      } else if (what < 4) {
        const size = [...node.text].length;
        const at = chance.below(size + 1);
        node.edit([{ at, deleted: Math.min(chance.below(4), size - at), inserted: chance.text(3) }]);
      } else if (agenda.queues.length > 0) {
        await agenda.step(chance.one(agenda.queues));
      }
    }
    await calm(agenda, chance);
    for (const editor of editors) {
      assert.equal(editor.live.state, "open");
      assert.equal(editor.shown, node.text);
      assert.deepEqual(editor.said, []);
    }
  });
}

for (let seed = 1; seed <= 100; seed++) {
  test(`a process that is lost again and again: seed ${seed}`, async () => {
    const chance = new Chance(seed);
    const agenda = new Agenda();
    const node = new Node(agenda, "start\n");
    const ada = join(agenda, node, "ada", node.text);
    await calm(agenda, chance);
    for (let loss = 0; loss < 3; loss++) {
      ada.type(0, 0, `<${loss}a>`);
      await calm(agenda, chance);
      ada.live.disconnect();
      node.lose("ada");
      ada.type(chance.below(ada.shown.length + 1), 0, `<${loss}b>`);
      node.edit([{ at: 0, deleted: 0, inserted: `<${loss}c>` }]);
      await calm(agenda, chance);
      ada.live.reconnect();
      ada.type(ada.shown.length, 0, `<${loss}d>`);
      await calm(agenda, chance);
    }
    assert.equal(ada.shown, node.text);
    assert.deepEqual(ada.said, []);
    const marks = ["0a", "0b", "0c", "0d", "1a", "1b", "1c", "1d", "2a", "2b", "2c", "2d"];
    const letters = [...node.text].sort().join("");
    assert.equal(letters, [...("start\n" + marks.map((mark) => `<${mark}>`).join(""))].sort().join(""));
  });
}

// --- One text, step by step ---

interface Asked {
  method: string;
  params: { content?: string; revision?: number; delta?: Edit[]; ranges?: unknown };
  resolve: () => void;
  reject: (error: Error) => void;
}

/** A surface that applies at once, and a server that the test plays. */
function played(content: string, mark = false) {
  const asked: Asked[] = [];
  const timers: (() => void)[] = [];
  const said: string[] = [];
  let text = content;
  let refuse = false;
  const surface: Surface = {
    text: () => text,
    apply: async (edits) => {
      if (refuse) {
        return false;
      }
      text = textOf(applied(rowsOf(text), inOrder(edits)));
      live.change(edits.map(({ range, replacement }) => ({ range, text: replacement })));
      return true;
    },
  };
  const listener: Listener = {
    changed: () => undefined,
    editedByOthers: () => undefined,
    tell: (sentence) => said.push(sentence),
    later: (_, what) => timers.push(what),
  };
  const server = {
    request: (method: string, params: object) =>
      new Promise<void>((resolve, reject) => asked.push({ method, params, resolve, reject })),
  };
  const live = new LiveText(URI, surface, server, listener, () => 0, mark);
  const at = (line: number, character: number, end = character, endLine = line) => ({
    start: { line, character },
    end: { line: endLine, character: end },
  });
  const type = (line: number, from: number, to: number, inserted: string): void => {
    const replacement = inserted.replace(/\r\n/g, "\n");
    text = textOf(applied(rowsOf(text), [{ range: at(line, from, to), replacement }]));
    live.change([{ range: at(line, from, to), text: inserted }]);
  };
  return {
    asked,
    timers,
    said,
    live,
    at,
    type,
    show: () => text,
    put: (now: string) => (text = now),
    refuse: (now: boolean) => (refuse = now),
  };
}

async function opened(content: string, mark = false) {
  const one = played(content, mark);
  one.live.open();
  one.asked.shift()!.resolve();
  await settled();
  assert.equal(one.live.state, "open");
  return one;
}

test("code points go out, UTF-16 units come in", async () => {
  const one = await opened("😀x\ny");
  one.type(0, 2, 3, "é\r\n");
  assert.deepEqual(one.asked[0].params.delta, [{ range: one.at(0, 1, 2), replacement: "é\n" }]);
  one.live.receive(1, [{ range: one.at(0, 1), replacement: "👍" }]);
  await settled();
  assert.equal(one.live.serverRevision, 1);
  assert.equal(one.show().split("\n")[0], "😀👍é");
});

test("an edit that does not know ours is dropped", async () => {
  const one = await opened("a\n");
  one.type(0, 0, 0, "x");
  one.live.receive(0, [{ range: one.at(0, 0), replacement: "never" }]);
  one.live.receive(1, [{ range: one.at(0, 0), replacement: "T" }]);
  await settled();
  assert.equal(one.show(), "Txa\n");
  assert.equal(one.live.serverRevision, 1);
});

test("nothing is sent before the answer, nothing is lost", async () => {
  const one = played("a\n");
  one.live.open();
  one.type(0, 0, 0, "x");
  assert.equal(one.asked.length, 1);
  one.asked[0].resolve();
  await settled();
  assert.deepEqual(one.asked[1].params.delta, [{ range: one.at(0, 0), replacement: "x" }]);
  assert.equal(one.asked[0].params.content, "a\n");
});

test("a refused opening says why", async () => {
  const one = played("a\n");
  one.live.open();
  one.asked[0].reject(new Error("This file is ignored."));
  await settled();
  assert.deepEqual([one.live.state, one.live.reason], ["refused", "This file is ignored."]);
});

test("a rejected edit opens anew, and the server's text counts", async () => {
  const one = await opened("a\n");
  one.type(0, 0, 0, "x");
  one.asked.shift()!.reject(new Error("no"));
  await settled();
  assert.deepEqual(one.asked.map(({ method }) => method), ["close", "open"]);
  assert.equal(one.asked[1].params.content, "xa\n");
  one.asked[1].resolve();
  await settled();
  one.live.receive(0, [{ range: one.at(0, 0, 1), replacement: "" }]);
  await settled();
  assert.equal(one.show(), "a\n");
  assert.equal(one.said.length, 1);
});

test("errors without end end", async () => {
  const one = await opened("a\n");
  for (let i = 0; i < 4; i++) {
    one.live.receive(0, "nonsense");
    one.asked.splice(0).forEach(({ resolve }) => resolve());
    await settled();
  }
  assert.equal(one.live.state, "refused");
});

for (const [name, delta] of Object.entries({
  "no list": {},
  "no range": [{ replacement: "" }],
  "no text": [{ range: { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } } }],
  "a negative place": [{ range: { start: { line: -1, character: 0 }, end: { line: 0, character: 0 } }, replacement: "" }],
  "half a line": [{ range: { start: { line: 0.5, character: 0 }, end: { line: 1, character: 0 } }, replacement: "" }],
  "backwards": [{ range: { start: { line: 1, character: 0 }, end: { line: 0, character: 0 } }, replacement: "" }],
})) {
  test(`an edit that makes no sense (${name}) opens anew`, async () => {
    const one = await opened("a\n");
    one.live.receive(0, delta);
    await settled();
    assert.equal(one.live.state, "opening");
    assert.equal(one.show(), "a\n");
  });
}

test("an edit that VS Code refuses is tried again", async () => {
  const one = await opened("a\n");
  one.refuse(true);
  one.live.receive(0, [{ range: one.at(0, 0), replacement: "T" }]);
  await settled();
  assert.equal(one.show(), "a\n");
  one.refuse(false);
  one.timers.shift()!();
  await settled();
  assert.equal(one.show(), "Ta\n");
});

test("what the server has of the unanswered is not sent twice", async () => {
  const one = await opened("a\n");
  one.type(0, 1, 1, "-unanswered");
  one.live.disconnect();
  one.type(0, 12, 12, "-alone");
  assert.equal(one.live.state, "waiting");
  one.asked.splice(0);
  one.live.reconnect();
  assert.equal(one.asked[0].params.content, "a\n");
  one.asked.shift()!.resolve();
  await settled();
  one.live.receive(0, [{ range: one.at(0, 1), replacement: "-unanswered" }]);
  await settled();
  assert.equal(one.asked[0].params.revision, 1);
  assert.deepEqual(one.asked[0].params.delta, [{ range: one.at(0, 12), replacement: "-alone" }]);
});

test("what the server never got is sent again", async () => {
  const one = await opened("a\n");
  one.type(0, 1, 1, "-unanswered");
  one.live.disconnect();
  one.asked.splice(0);
  one.live.reconnect();
  one.asked.shift()!.resolve();
  await settled();
  one.timers.shift()!();
  await settled();
  assert.deepEqual(one.asked[0].params.delta, [{ range: one.at(0, 1), replacement: "-unanswered" }]);
});

test("line ends that VS Code cannot show end it, untouched", async () => {
  const one = await opened("a\nb\n");
  one.live.receive(0, [{ range: one.at(0, 1, 0, 1), replacement: "\r\n" }]);
  await settled();
  assert.equal(one.live.state, "refused");
  assert.equal(one.show(), "a\nb\n");
  assert.equal(one.asked[0].method, "close");
});

test("a byte order mark is in the text, and not on the surface", async () => {
  const one = played("ab\n", true);
  one.live.open();
  assert.equal(one.asked[0].params.content, "\ufeffab\n");
  one.asked.shift()!.resolve();
  await settled();
  one.type(0, 1, 1, "x");
  assert.deepEqual(one.asked[0].params.delta, [{ range: one.at(0, 2), replacement: "x" }]);
  one.live.receive(1, [{ range: one.at(0, 1), replacement: "T" }]);
  await settled();
  assert.equal(one.show(), "Taxb\n");
  one.live.cursor([one.at(0, 1)]);
  assert.deepEqual(one.asked[1].params.ranges, [one.at(0, 2)]);
  one.live.receive(1, [{ range: one.at(0, 0, 1), replacement: "" }]);
  await settled();
  assert.equal(one.live.state, "refused");
});

test("half a character that is typed is replaced everywhere", async () => {
  const one = await opened("a\n");
  one.type(0, 0, 0, "\ud83d");
  assert.equal(one.asked[0].params.delta![0].replacement, "\ufffd");
  one.asked.shift()!.resolve();
  one.timers.shift()!();
  assert.deepEqual(one.asked.map(({ method }) => method), ["close", "open"]);
});

test("what the disk had is no edit", async () => {
  const one = await opened("a\n");
  one.put("a\nby hand\n");
  one.live.pause();
  one.type(0, 0, 0, "x");
  assert.equal(one.asked.length, 0);
  one.live.reloaded();
  assert.equal(one.asked.shift()!.method, "close");
  assert.equal(one.asked[0].params.content, "a\nby hand\n");
  one.asked.shift()!.resolve();
  await settled();
  assert.deepEqual(one.asked[0].params.delta, [{ range: one.at(0, 0), replacement: "x" }]);
});

test("closed for good, or opened again", async () => {
  const one = await opened("a\n");
  one.live.closed("replaced", "put there anew");
  assert.deepEqual(one.asked.splice(0).map(({ method }) => method), ["close", "open"]);
  assert.deepEqual(one.said, []);
  const other = await opened("a\n");
  other.live.closed("deleted", "bob deleted it.");
  assert.deepEqual([other.live.state, other.live.reason], ["refused", "bob deleted it."]);
  other.type(0, 0, 0, "x");
  assert.equal(other.asked.length, 0);
});

test("many edits go out in several messages, from the end", async () => {
  const one = await opened("a\n".repeat(2500));
  one.live.change(Array.from({ length: 2500 }, (_, line) => ({ range: one.at(line, 0), text: "x" })));
  const sizes = one.asked.map(({ params }) => params.delta!.length);
  assert.deepEqual(sizes, [1000, 1000, 500]);
  assert.equal(one.asked[0].params.delta![999].range.start.line, 2499);
  assert.equal(one.live.editorRevision, 3);
});
