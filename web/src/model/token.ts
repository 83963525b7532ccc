// The token of this folder's page.
//
// It comes in the fragment of the address that `meerkat web` prints (a fragment is never sent), and
// is taken out of the address bar at once. It is kept in localStorage, so that a second tab, a
// bookmark and a restarted browser work: the origin is 127.0.0.1 with this folder's own port, which
// nobody but this machine's programs can be; a program that takes the port while the folder is not
// running would hear the token anyway, from any open tab that connects again.

const KEY = "meerkat.token";

let token = "";

function kept(): string {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // storage switched off: this tab alone
  }
}

/** Take the token from the address, or the one kept from before. */
export function takeToken(): void {
  const found = /(?:^#|&)token=([^&]+)/.exec(location.hash);
  if (found) {
    token = decodeURIComponent(found[1]!);
    try {
      localStorage.setItem(KEY, token);
    } catch {
      // kept in memory only
    }
    const rest = location.hash
      .replace(/^#/, "")
      .split("&")
      .filter((part) => !part.startsWith("token="));
    const path = rest.find((part) => part.startsWith("/")) ?? "";
    history.replaceState(null, "", location.pathname + location.search + (path ? `#${path}` : ""));
  } else {
    token = kept();
  }
}

export function hasToken(): boolean {
  return token !== "";
}

export function getToken(): string {
  return token;
}

/** The server did not know it. */
export function forgetToken(): void {
  if (kept() === token) {
    try {
      localStorage.removeItem(KEY);
    } catch {
      // nothing was kept
    }
  }
  token = "";
}

/** The page was opened anew from `meerkat web` while this one is showing: only the fragment changed. */
export function onNewToken(tell: () => void): void {
  addEventListener("hashchange", () => {
    if (/(?:^#|&)token=/.test(location.hash)) {
      takeToken();
      tell();
    }
  });
}

/** `ws://…` of this server. */
export function socketAddress(path: string): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}

/** A folder's path, each part escaped. */
export function escapePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** Where the bytes of a file are, for elements that can send no header. */
export function rawAddress(path: string, more: Record<string, string> = {}): string {
  return `/raw/${escapePath(path)}?${new URLSearchParams({ token, ...more })}`;
}

/** A request with the token. */
export function ask(address: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("Authorization", `Bearer ${token}`);
  return fetch(address, { ...init, headers });
}
