// The field in the tree in which a new file, a folder or another name is typed.

import { useLayoutEffect, useRef } from "preact/hooks";
import { finishNaming, naming } from "../model/deeds";
import { FileIcon } from "./icons";

/** `name`: what is there now, if it is renamed. */
export function NameField(props: { level: number; top: number; folder: boolean; name?: string }) {
  const field = useRef<HTMLInputElement>(null);
  const busy = useRef(false);
  useLayoutEffect(() => {
    const input = field.current!;
    input.focus();
    const dot = props.folder ? -1 : input.value.lastIndexOf(".");
    input.setSelectionRange(0, dot > 0 ? dot : input.value.length);
  }, [props.folder]);
  const finish = async (keep: boolean, refocus: boolean) => {
    const name = field.current?.value;
    if (busy.current || name === undefined) return;
    busy.current = true;
    const done = !keep || (await finishNaming(name));
    busy.current = false;
    if (!done) {
      field.current?.focus();
      return;
    }
    naming.value = null;
    if (refocus && !keep) document.querySelector<HTMLElement>(".tree")?.focus();
  };
  const label = props.name
    ? `New name of ${props.name}`
    : props.folder
      ? "Name of the folder"
      : "Name of the file";
  return (
    <div
      class="row naming"
      role="none"
      style={{ top: `${props.top}px`, paddingLeft: `${8 + (props.level - 1) * 14}px` }}
    >
      <span class="twist" />
      <FileIcon look={props.folder ? "folder" : "text"} />
      <input
        ref={field}
        class="field"
        aria-label={label}
        placeholder={props.folder ? "folder" : "name.md"}
        defaultValue={props.name ?? ""}
        spellcheck={false}
        autocomplete="off"
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === "Enter") void finish(true, true);
          if (event.key === "Escape") void finish(false, true);
        }}
        onBlur={() => void finish(field.current?.value.trim() !== "", false)}
      />
    </div>
  );
}
