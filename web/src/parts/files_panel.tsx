// The left panel: what one can do with files, the tree, uploads on their way.

import { useRef } from "preact/hooks";
import { startNaming } from "../model/deeds";
import { files, status } from "../model/pool";
import { over } from "../model/saying";
import { shownPath, size } from "../model/shown";
import { takeFiles, uploads } from "../model/uploads";
import { Icon } from "./icons";
import { folderInFocus, Tree } from "./tree";

export function FilesPanel() {
  const chooser = useRef<HTMLInputElement>(null);
  return (
    <>
      <div class="panel-head">
        <h2>Files</h2>
        <button
          type="button"
          class="quiet"
          aria-label="New file"
          title="New file (Alt N)"
          onClick={() => startNaming("file", folderInFocus())}
        >
          <Icon name="newFile" />
        </button>
        <button
          type="button"
          class="quiet"
          aria-label="New folder"
          title="New folder (Alt Shift N)"
          onClick={() => startNaming("folder", folderInFocus())}
        >
          <Icon name="newFolder" />
        </button>
        <button
          type="button"
          class="quiet"
          aria-label="Upload files"
          title="Upload files"
          onClick={() => chooser.current?.click()}
        >
          <Icon name="upload" />
        </button>
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          aria-label="Files to upload"
          onChange={(event) => {
            const chosen = event.currentTarget.files;
            if (chosen) void takeFiles([...chosen], folderInFocus());
            event.currentTarget.value = "";
          }}
        />
      </div>
      {files.value ? <Tree /> : <Waiting />}
      <Uploads />
      <Troubles />
    </>
  );
}

function Waiting() {
  return (
    <div class="tree" aria-busy="true">
      {[72, 54, 88, 60, 40].map((width) => (
        <div key={width} class="ghost" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}

function Uploads() {
  const list = uploads.value;
  if (!list.length) return null;
  const total = list.reduce((sum, one) => sum + one.total, 0);
  const done = list.reduce((sum, one) => sum + (one.state === "done" ? one.total : one.done), 0);
  const going = list.filter((one) => one.state !== "done" && one.state !== "skipped");
  return (
    <section class="uploads" aria-label="Uploads">
      <div class="uploads-head">
        <span class="grow">
          {list.length - going.length} of {list.length} uploaded
        </span>
        <span class="faint">
          {size(done)} of {size(total)}
        </span>
      </div>
      <progress max={Math.max(total, 1)} value={total ? done : 1} aria-label="Upload progress" />
      <ul>
        {going.slice(0, 4).map((one) => (
          <li key={one.id} class={one.state === "failed" ? "bad" : ""}>
            <span class="name">{shownPath(one.path)}</span>
            <span class="faint">
              {one.state === "failed"
                ? one.problem
                : one.state === "going"
                  ? `${Math.floor((100 * one.done) / Math.max(1, one.total))} %`
                  : "waits"}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What a person should know about, in a line each. */
function Troubles() {
  const now = status.value;
  if (!now || (!now.conflicts.length && !now.problems.length)) return null;
  const words = [
    now.conflicts.length ? `${now.conflicts.length} kept twice` : "",
    now.problems.length ? `${now.problems.length} with a problem` : "",
  ].filter(Boolean);
  return (
    <button
      type="button"
      class="troubles"
      onClick={() => {
        over.value = "status";
      }}
    >
      <Icon name="warning" size={14} />
      <span class="grow">{words.join(", ")}</span>
      <span class="faint">Show</span>
    </button>
  );
}
