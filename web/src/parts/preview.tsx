// What is no live text: pictures, sound, films, PDF; of anything else, what is known of it.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { download } from "../model/deeds";
import { lookOf, nameOf, otherViewOf } from "../model/kinds";
import { fileAt, files, status } from "../model/pool";
import { shownPath, size } from "../model/shown";
import { openAnew, showAs, type Tab } from "../model/tabs";
import { ask, escapePath, rawAddress } from "../model/token";
import { FileIcon, Icon } from "./icons";

export function Preview({ tab }: { tab: Tab }) {
  const { path } = tab;
  const file = fileAt.value.get(path);
  const version = useSignal("");
  const measure = useSignal("");
  const failed = useSignal(false);

  // The address carries the version, so that a file that changes is shown anew, and only then. The
  // tree may know of a change before the disk holds it, so every news of the state is a reason to look.
  useEffect(() => {
    let stopped = false;
    ask(`/raw/${escapePath(path)}`, { method: "HEAD" })
      .then((answer) => {
        if (stopped || !answer.ok) return;
        const found = answer.headers.get("ETag") ?? "";
        if (found !== version.peek()) {
          version.value = found;
          failed.value = false;
        }
      })
      .catch(() => undefined);
    return () => {
      stopped = true;
    };
  }, [path, files.value, status.value]);

  if (!file && files.value) {
    return (
      <Plain path={path}>
        <p>It is not here any more.</p>
      </Plain>
    );
  }
  if (file?.kind === "text" && otherViewOf(file) !== tab.view) {
    return (
      <Plain path={path}>
        <p>It is a text now.</p>
        <button type="button" class="main" onClick={() => openAnew(tab)}>
          Open it
        </button>
      </Plain>
    );
  }
  if (!file || (!version.value && tab.view !== "link" && tab.view !== "other"))
    return <div class="pane" />;
  const address = rawAddress(path, { v: version.value });
  const shown = failed.value ? "other" : tab.view;
  const name = shownPath(nameOf(path));
  return (
    <div class="pane preview">
      <div class="preview-head">
        <span class="grow name">{shownPath(path)}</span>
        <span class="faint">{[measure.value, size(file.size)].filter(Boolean).join(" · ")}</span>
        {file.kind === "text" && (
          <button type="button" onClick={() => showAs(tab, "text")}>
            <Icon name="edit" /> Edit as text
          </button>
        )}
        {file.kind !== "link" && (
          <button type="button" onClick={() => download(path)}>
            <Icon name="download" /> Download
          </button>
        )}
      </div>
      <div class={`preview-body ${shown}`}>
        {shown === "image" && (
          <img
            src={address}
            alt={name}
            onLoad={(event) => {
              const { naturalWidth, naturalHeight } = event.currentTarget;
              if (naturalWidth) measure.value = `${naturalWidth} × ${naturalHeight}`;
            }}
            onError={() => {
              failed.value = true;
            }}
          />
        )}
        {shown === "pdf" && <iframe src={address} title={name} />}
        {shown === "sound" && (
          // biome-ignore lint/a11y/useMediaCaption: a member's own file, no captions exist
          <audio
            controls
            src={address}
            onError={() => {
              failed.value = true;
            }}
          />
        )}
        {shown === "film" && (
          // biome-ignore lint/a11y/useMediaCaption: a member's own file, no captions exist
          <video
            controls
            src={address}
            onError={() => {
              failed.value = true;
            }}
          />
        )}
        {(shown === "other" || shown === "link") && (
          <div class="plain">
            <span class="plain-icon">
              <FileIcon look={lookOf(file)} />
            </span>
            <p class="name">{name}</p>
            <p class="faint">
              {file.kind === "link"
                ? "A symbolic link. It is shared as one, and not followed."
                : failed.value
                  ? "The browser cannot show this file."
                  : "No live text: shared as a whole, merged never."}
            </p>
          </div>
        )}
      </div>
    </div>
  );
}

function Plain(props: { path: string; children: preact.ComponentChildren }) {
  return (
    <div class="pane preview">
      <div class="preview-body other">
        <div class="plain">
          <p class="name">{shownPath(props.path)}</p>
          {props.children}
        </div>
      </div>
    </div>
  );
}
