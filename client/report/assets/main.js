import { showBars } from "./bars.js";
import { showConditions } from "./conditions.js";
import { showDistribution } from "./distribution.js";
import { showDownloads } from "./downloads.js";
import { showLayers } from "./layers.js";
import { showMatrix } from "./matrix.js";
import { showResult } from "./result.js";
import { showWindows } from "./windows.js";

showResult();
showBars();
showDistribution();
showWindows();
showMatrix();
showLayers();
showConditions();
showDownloads();
document.documentElement.dataset.ready = "yes";
