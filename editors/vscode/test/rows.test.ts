import assert from "node:assert/strict";
import test from "node:test";

import {
  applied,
  codePoints,
  difference,
  fromProtocol,
  inOrder,
  rowsOf,
  textOf,
  toProtocol,
  units,
  wellFormed,
  withLineFeeds,
} from "../src/rows";
import { Chance } from "./chance";

test("positions: UTF-16 units and code points", () => {
  const row = "a😀e\u0301漢";
  assert.deepEqual([0, 1, 3, 4, 5, 6].map((at) => codePoints(row, at)), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual([0, 1, 2, 3, 4, 5, 9].map((at) => units(row, at)), [0, 1, 3, 4, 5, 6, 6]);
  const rows = ["a", row];
  assert.deepEqual(toProtocol(rows, { line: 1, character: 3 }), { line: 1, character: 2 });
  assert.deepEqual(fromProtocol(rows, { line: 1, character: 2 }), { line: 1, character: 3 });
  assert.deepEqual(fromProtocol(rows, { line: 7, character: 7 }), { line: 1, character: 6 });
  assert.deepEqual(toProtocol(rows, { line: 7, character: 7 }), { line: 1, character: 5 });
});

test("half a pair is no character", () => {
  assert.equal(wellFormed("a\ud83db\ude00c😀"), "a\ufffdb\ufffdc😀");
  assert.equal(withLineFeeds("a\r\nb\rc\n"), "a\nb\nc\n");
});

test("edits apply as one, however many", () => {
  const rows = rowsOf("one\ntwo\nthree\n");
  const at = (line: number, character: number) => ({ line, character });
  const edits = inOrder([
    { range: { start: at(2, 0), end: at(3, 0) }, replacement: "" },
    { range: { start: at(0, 1), end: at(1, 1) }, replacement: "X\nY" },
    { range: { start: at(1, 1), end: at(1, 1) }, replacement: "Z" },
  ]);
  assert.equal(textOf(applied(rows, edits)), "oX\nYZwo\n");
  const overlapping = [
    { range: { start: at(0, 0), end: at(0, 2) }, replacement: "" },
    { range: { start: at(0, 1), end: at(0, 3) }, replacement: "" },
  ];
  assert.throws(() => inOrder(overlapping), RangeError);
  assert.throws(() => inOrder([{ range: { start: at(1, 0), end: at(0, 0) }, replacement: "" }]), RangeError);
});

test("the difference of two texts leads from one to the other", () => {
  const chance = new Chance(1);
  for (let i = 0; i < 5000; i++) {
    const old = chance.text(8);
    const now = chance.below(2) === 0 ? chance.text(8) : old.slice(0, chance.below(old.length + 1)) + chance.text(3);
    const edit = difference(rowsOf(old), rowsOf(now));
    if (edit === null) {
      assert.equal(old, now);
    } else {
      assert.notEqual(old, now);
      assert.equal(textOf(applied(rowsOf(old), [edit])), now);
      assert.equal(wellFormed(edit.replacement) === edit.replacement, wellFormed(now) === now);
    }
  }
});
