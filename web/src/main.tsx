// Where the page begins.

import { render } from "preact";
import { link, start } from "./model/control";
import { watchFollowing } from "./model/following";
import { watchPool } from "./model/pool";
import { showTheme } from "./model/settings";
import { watchTabs } from "./model/tabs";
import { hasToken, onNewToken, takeToken } from "./model/token";
import { App } from "./parts/app";
import "./style/page.css";
import "./style/panels.css";
import "./style/editor.css";
import "./style/table.css";

showTheme();
takeToken();
onNewToken(start);
watchPool();
watchTabs();
watchFollowing();
if (hasToken()) start();
else link.value = "refused";
render(<App />, document.getElementById("page")!);
