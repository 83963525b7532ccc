// What a person does with a row, and is asked about first.

import type { Value } from "../model/cells";
import { typed } from "../model/cells";
import type { DatabaseView } from "../model/database";
import { askPerson, tellError } from "../model/saying";
import { oneLine } from "../model/shown";

/** Delete a row, if the person is sure. */
export async function removeRow(view: DatabaseView, key: Value[]): Promise<void> {
  const { value } = await askPerson({
    title: "Delete this row?",
    text: "It is deleted for everyone. If somebody is changing it just now, it stays.",
    detail: `${oneLine(view.table.peek())} ${key.map((one) => oneLine(typed(one))).join(", ")}`,
    choices: [
      { label: "Keep it", value: "" },
      { label: "Delete", value: "delete", kind: "danger" },
    ],
  });
  if (!value) return;
  await view.remove(key).catch(tellError);
}
