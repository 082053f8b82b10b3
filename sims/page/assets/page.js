"use strict";
/* Draws what the page's data describe. Nothing is loaded: plotly.js and the data lie in this file, compressed. */
(() => {
  const DARK = {
    "#0072B2": "#5aaee6", "#D55E00": "#ff8f45", "#009E73": "#3ccfa4", "#CC79A7": "#e8a5cb", "#56B4E9": "#9ad7fa",
    "#E69F00": "#f7c155", "#444444": "#c3c9d1", "#000000": "#ffffff",
  };
  const NUMBERS = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array,
    f4: Float32Array, f8: Float64Array };
  const PLAY_MS = 120;
  const MARGIN = 1.12; // of the box around the nodes
  const LABEL_PX = 13; // height of such a name
  const LABELLED = 60; // nodes whose names are written beside them
  const drawn = new Set(); // what has to be drawn again in the other theme

  const root = document.documentElement;
  let loaded; // called when plotly.js is there
  const library = new Promise((resolve) => { loaded = resolve; });
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "text") element.textContent = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  const unpack = async (id) => {
    const bytes = fromBase64(document.getElementById(id).textContent);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const fromBase64 = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text.trim());
    const binary = atob(text.trim()), bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  };

  /* ---- themes ---- */
  const isDark = () => root.dataset.theme === "dark";
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const setTheme = (dark) => {
    root.dataset.theme = dark ? "dark" : "light";
    const button = document.getElementById("theme");
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "Change to the light page" : "Change to the dark page");
  };
  const coloured = (value, dark) => {
    if (typeof value === "string") return dark ? DARK[value] || value : value;
    if (Array.isArray(value)) return value.map((entry) => coloured(entry, dark));
    if (value && typeof value === "object" && !ArrayBuffer.isView(value)) {
      return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, coloured(entry, dark)]));
    }
    return value;
  };
  const themed = (layout, dark) => {
    const ink = dark ? "#e8eaed" : "#1b1f24", grid = dark ? "#30363e" : "#e3e6ea", line = dark ? "#7a838e" : "#8a929c";
    const out = { ...layout, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" };
    out.font = { ...(layout.font || {}), color: ink };
    out.hoverlabel = { bgcolor: dark ? "#1d2127" : "#ffffff", bordercolor: line, font: { color: ink }, namelength: -1 };
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) {
        out[key] = { gridcolor: grid, zerolinecolor: line, linecolor: line, tickcolor: line, ...layout[key] };
      }
    }
    return out;
  };
  /* On a narrow page: axis titles in two lines, colour bars above the plot, smaller ticks. */
  const NARROW = 560, TITLE_CHARS = 30;
  const folded = (text) => text.split(" ").reduce(([...lines], word) => {
    const last = lines.pop();
    return last && (last + " " + word).length <= TITLE_CHARS ? [...lines, `${last} ${word}`] : [...lines, ...(last ? [last] : []), word];
  }, []).join("<br>");
  const fitted = (figure, width) => {
    if (width >= NARROW) return figure;
    const layout = { ...figure.layout, margin: { ...figure.layout.margin, l: 48, r: 8 } };
    for (const key of Object.keys(layout)) {
      if (!/^[xy]axis\d*$/.test(key)) continue;
      const one = layout[key], title = one.title && one.title.text;
      layout[key] = { ...one, tickfont: { size: 10 } };
      if (title) layout[key].title = { ...one.title, text: folded(title), font: { size: 12 } };
      if (one.type === "category" && one.dtick) layout[key].dtick = 3 * one.dtick;
    }
    const bar = (found) => ({ ...found, orientation: "h", x: 0.5, y: 1.02, yanchor: "bottom", len: 0.9 });
    const data = figure.data.map((trace) => {
      if (trace.colorbar) return { ...trace, colorbar: bar(trace.colorbar) };
      if (trace.marker && trace.marker.colorbar) {
        return { ...trace, marker: { ...trace.marker, size: Math.min(18, trace.marker.size), colorbar: bar(trace.marker.colorbar) } };
      }
      return trace;
    });
    return { data, layout };
  };
  const config = { displaylogo: false, responsive: true, displayModeBar: "hover",
    modeBarButtonsToRemove: ["toImage", "lasso2d", "select2d", "autoScale2d"] };

  /* ---- downloads ---- */
  const save = (name, content, type) => {
    const url = typeof content === "string" && content.startsWith("data:") ? content
      : URL.createObjectURL(new Blob([content], { type }));
    const link = make("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
  };
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    // Text that a spreadsheet would compute has an apostrophe before it; numbers are numbers.
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = (rows) => rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  const array = (value) => {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value) || ArrayBuffer.isView(value)) return value;
    if (!value.bdata) return [value];
    const bytes = fromBase64(value.bdata);
    const flat = new NUMBERS[value.dtype](bytes.buffer);
    if (!value.shape) return flat;
    const width = Number(String(value.shape).split(",").pop());
    return Array.from({ length: flat.length / width }, (_, i) => flat.subarray(i * width, (i + 1) * width));
  };
  const plain = (text) => String(text ?? "").replace(/<[^>]+>/g, " ");
  const figureRows = (figure) => {
    if (figure.data.some((trace) => trace.type === "heatmap")) {
      const trace = figure.data[0], columns = array(trace.x), lines = array(trace.y);
      const rows = [["row", "column", "value"]];
      array(trace.z).forEach((line, i) => Array.from(line).forEach((v, j) => rows.push([lines[i], columns[j], v])));
      return rows;
    }
    const rows = [["series", "point", "x", "y", "error_minus", "error_plus", "value"]];
    for (const trace of figure.data) {
      const name = [trace.name, trace.meta].filter(Boolean).map(plain).join(", ");
      const points = array(trace.customdata), named = (i) => (typeof points[i] === "object" ? "" : points[i] ?? "");
      const x = array(trace.x), y = array(trace.y), colour = array(trace.marker && trace.marker.color);
      const error = trace.error_y || {}, plus = array(error.array);
      const minus = error.symmetric === false ? array(error.arrayminus) : plus;
      for (let i = 0; i < y.length; i++) {
        const value = colour.length === y.length && y.length > 1 ? colour[i] : "";
        rows.push([name, named(i), plain(x[i]), y[i], minus[i] ?? "", plus[i] ?? "", value]);
      }
    }
    return rows;
  };
  const saveImage = async (figure, name, format, width, height) => {
    // Downloads are for papers: always on white.
    const layout = { ...themed(figure.layout, false), width, height, paper_bgcolor: "#ffffff" };
    const url = await Plotly.toImage({ data: coloured(figure.data, false), layout },
      { format, width, height, scale: format === "png" ? 3 : 1 });
    save(`${name}.${format}`, url);
  };
  const downloads = (name, figureOf, place, rowsOf) => {
    const size = () => [Math.max(480, place.clientWidth), Math.max(320, place.clientHeight)];
    const image = (format) => make("button", { type: "button", class: "small", text: format.toUpperCase(),
      "aria-label": `Download ${name} as ${format.toUpperCase()}`,
      onclick: () => saveImage(figureOf(), name, format, ...size()) });
    return [make("span", { class: "small", text: "Download" }), image("svg"), image("png"),
      make("button", { type: "button", class: "small", text: "CSV", "aria-label": `Download the data of ${name} as CSV`,
        onclick: () => save(`${name}.csv`, csv(rowsOf ? rowsOf() : figureRows(figureOf())), "text/csv") })];
  };

  /* ---- blocks ---- */
  const whenSeen = (element, draw) => {
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      library.then(draw);
    }, { rootMargin: "400px" });
    watch.observe(element);
  };
  const plotBlock = (block) => {
    const place = make("div", { class: "plot", style: `height:${block.height}px`, role: "img", "aria-label": block.alt });
    const draw = () => {
      const { data, layout } = fitted(block.figure, place.clientWidth), dark = isDark();
      Plotly.react(place, coloured(data, dark),
        coloured(themed({ ...layout, height: block.height, autosize: true }, dark), dark), config);
    };
    whenSeen(place, () => { draw(); drawn.add(draw); place.dataset.drawn = "yes"; });
    return make("figure", {}, place, make("div", { class: "bar" }, ...downloads(block.name, () => block.figure, place)));
  };
  const choiceBlock = (block) => {
    const id = `choice-${Math.random().toString(36).slice(2)}`;
    const inside = make("div");
    const show = (index) => inside.replaceChildren(render(block.options[index].block));
    const select = make("select", { id, onchange: (event) => show(event.target.selectedIndex) },
      ...block.options.map((option) => make("option", { text: option.label })));
    show(0);
    return make("div", {}, make("div", { class: "bar" }, make("label", { for: id, text: block.label }), select), inside);
  };
  const shown = (value) => {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : String(Number(value.toPrecision(4)));
  };
  const tableBlock = (block) => {
    const words = block.columns.map((_, j) => block.rows.some((row) => typeof row[j] === "string"));
    const head = make("tr", {}, ...block.columns.map((name, j) =>
      make("th", { scope: "col", class: words[j] ? "text" : null, text: name })));
    const rows = block.rows.map((row) => make("tr", {}, ...row.map((value) =>
      make("td", { class: typeof value === "string" ? "text" : null, text: shown(value) }))));
    const table = make("table", {}, make("caption", { text: block.caption || block.name.replaceAll("-", " ") }),
      make("thead", {}, head), make("tbody", {}, ...rows));
    const button = make("button", { type: "button", class: "small", text: "CSV",
      "aria-label": `Download the table ${block.name} as CSV`,
      onclick: () => save(`${block.name}.csv`, csv([block.columns, ...block.rows]), "text/csv") });
    return make("div", {}, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": block.name }, table),
      make("div", { class: "bar" }, make("span", { class: "small", text: "Download" }), button));
  };
  const pictureBlock = (block) => make("figure", {}, make("img", { src: block.src, alt: block.alt, loading: "lazy" }),
    make("div", { class: "bar" }, make("span", { class: "small", text: "Download" }),
      make("button", { type: "button", class: "small", text: "PNG", "aria-label": `Download ${block.name} as PNG`,
        onclick: () => save(`${block.name}.png`, block.src) })));

  /* ---- the embedding: theory beside experiment, over time ---- */
  const positions = (packed, n) => {
    const values = new Int16Array(fromBase64(packed.data).buffer), scale = packed.limit / 32767;
    return { frames: values.length / (3 * n), at: (frame, node, axis) => scale * values[(frame * n + node) * 3 + axis] };
  };
  const webgl = () => {
    try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
  };
  const embeddingBlock = (block) => {
    // Plotly takes tags in names for tags.
    const safeNames = block.nodes.map((name) => String(name).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"));
    const n = block.nodes.length, edges = new Uint32Array(fromBase64(block.edges).buffer);
    const byName = new Map();
    const series = block.series.map((one) => {
      const found = { ...one, run: positions(one.measured, n), theory: null };
      if (one.predicted) {
        found.theory = one.predicted.like ? byName.get(one.predicted.like).theory : positions(one.predicted, n);
      }
      byName.set(one.name, found);
      return found;
    });
    const state = { series: 0, frame: series[0].steps.length - 1, solid: false, edges: true, timer: null };
    const id = `embedding-${Math.random().toString(36).slice(2)}`;
    const current = () => series[state.series];

    const side = (key, title) => {
      const place = make("div", { class: "plot", style: "height:420px", role: "img", "aria-label": `${title}: ${block.alt}` });
      return { key, place, holder: make("figure", {}, make("figcaption", { text: title }), place), camera: null };
    };
    const sides = [side("theory", "Theory"), side("run", "Run")];
    const coordinates = (side) => current()[side.key];
    // One box for both sides: that of the last step, and wider where the nodes of this one are, so that what moves is the
    // nodes, and the layout they end in fills its place.
    const boxes = new Map();
    const box = () => {
      const key = `${state.series} ${state.solid} ${state.frame}`;
      if (!boxes.has(key)) {
        const count = state.solid ? 3 : 2, low = Array(count).fill(Infinity), high = Array(count).fill(-Infinity);
        for (const side of sides) {
          const found = coordinates(side);
          for (const frame of found ? [state.frame, found.frames - 1] : []) {
            for (let node = 0; node < n; node++) {
              for (let axis = 0; axis < count; axis++) {
                const at = found.at(frame, node, axis);
                low[axis] = Math.min(low[axis], at);
                high[axis] = Math.max(high[axis], at);
              }
            }
          }
        }
        const reach = Math.max(1e-12, ...low.map((one, axis) => (high[axis] - one) / 2));
        boxes.set(key, { middle: low.map((one, axis) => (high[axis] + one) / 2), reach: MARGIN * reach });
      }
      return boxes.get(key);
    };
    // Names that would lie on one another are left to the pointer.
    const apart = (nodes, limit) => {
      const kept = [], near = (2 * limit / 420) * LABEL_PX;
      return safeNames.map((name, node) => {
        const [x, y] = [nodes[0][node], nodes[1][node]], reach = near * (0.6 + 0.4 * String(name).length);
        if (kept.some((one) => Math.abs(one.x - x) < Math.max(reach, one.reach) && Math.abs(one.y - y) < near)) return "";
        kept.push({ x, y, reach });
        return name;
      });
    };
    const traces = (found, dark, limit) => {
      const axes = state.solid ? ["x", "y", "z"] : ["x", "y"];
      const lines = axes.map(() => []), nodes = axes.map(() => new Array(n));
      for (let node = 0; node < n; node++) axes.forEach((_, a) => { nodes[a][node] = found.at(state.frame, node, a); });
      if (state.edges) {
        for (let e = 0; e < edges.length; e += 2) {
          axes.forEach((_, a) => lines[a].push(nodes[a][edges[e]], nodes[a][edges[e + 1]], null));
        }
      }
      const gl = !state.solid && n > 1200 && webgl();
      const type = state.solid ? "scatter3d" : gl ? "scattergl" : "scatter";
      const named = n <= LABELLED && !state.solid;
      const pack = (values) => Object.fromEntries(axes.map((name, a) => [name, values[a]]));
      return [
        { type, mode: "lines", ...pack(lines), hoverinfo: "skip", showlegend: false,
          line: { color: dark ? "#5b6570" : "#b3bac2", width: state.solid ? 2 : 1 } },
        { type, mode: named ? "markers+text" : "markers", ...pack(nodes), customdata: safeNames, showlegend: false,
          text: named ? apart(nodes, limit) : undefined,
          textposition: "top center", textfont: { size: 10, color: dark ? "#c3c9d1" : "#59616b" },
          hovertemplate: "node %{customdata}<extra></extra>",
          marker: { color: block.colours.map((c) => (dark && c === "#000000" ? "#ffffff" : c)),
            size: state.solid ? Math.max(2.5, Math.min(6, 160 / Math.sqrt(n))) : Math.max(4, Math.min(11, 220 / Math.sqrt(n))),
            line: { width: state.solid ? 0 : 0.7, color: dark ? "#14171b" : "#ffffff" } } },
      ];
    };
    const layout = (side, dark, { middle, reach }) => {
      const bare = middle.map((at) => ({ showticklabels: false, showline: false, ticks: "", zeroline: false,
        range: [at - reach, at + reach], title: { text: "" } }));
      const common = { margin: { l: 4, r: 4, t: 4, b: 4 }, hovermode: "closest", showlegend: false, height: 420,
        autosize: true, uirevision: `${state.solid}` };
      if (!state.solid) {
        return themed({ ...common, xaxis: { ...bare[0], constrain: "domain" },
          yaxis: { ...bare[1], scaleanchor: "x", constrain: "domain" } }, dark);
      }
      const line = dark ? "#30363e" : "#d5d9df";
      const [x, y, z] = bare.map((one) => ({ ...one, gridcolor: line, backgroundcolor: "rgba(0,0,0,0)", showspikes: false }));
      const scene = { xaxis: x, yaxis: y, zaxis: z, aspectmode: "cube" };
      if (side.camera) scene.camera = side.camera;
      return themed({ ...common, scene }, dark);
    };
    const draw = () => {
      const dark = isDark(), around = box();
      for (const side of sides) {
        const found = coordinates(side);
        side.holder.style.display = found ? "" : "none";
        if (found) side.figure = { data: traces(found, dark, around.reach), layout: layout(side, dark, around) };
        if (found) Plotly.react(side.place, side.figure.data, side.figure.layout, config);
      }
      block.element.dataset.frame = String(state.frame);
    };
    const say = () => {
      const one = current(), step = one.steps[state.frame], time = one.times ? one.times[state.frame] : null;
      readout.textContent = `step ${step}${time === null ? "" : `, t = ${shown(time)}`}`;
      slider.setAttribute("aria-valuetext", readout.textContent);
    };
    const goTo = (frame) => {
      state.frame = Math.max(0, Math.min(current().steps.length - 1, frame));
      slider.value = String(state.frame);
      say();
      draw();
    };
    const stop = () => {
      clearInterval(state.timer);
      state.timer = null;
      play.textContent = "Play";
      play.setAttribute("aria-pressed", "false");
    };
    const link = () => {
      for (const side of sides) {
        if (!side.place.on) continue;
        const other = sides.find((one) => one !== side);
        side.place.on("plotly_relayout", (change) => {
          const camera = change["scene.camera"];
          if (!camera || !state.solid || side.turning) return;
          side.camera = other.camera = camera;
          if (other.place.data) {
            other.turning = true;
            Plotly.relayout(other.place, { "scene.camera": camera }).then(() => { other.turning = false; });
          }
        });
        side.place.on("plotly_hover", (event) => {
          const point = event.points[0];
          if (point.curveNumber !== 1 || state.solid || !other.place.data || event.linked) return;
          Plotly.Fx.hover(other.place, [{ curveNumber: 1, pointNumber: point.pointNumber }]);
        });
        side.place.on("plotly_unhover", () => { if (!state.solid && other.place.data) Plotly.Fx.unhover(other.place); });
      }
    };
    const rows = () => {
      const one = current(), out = [["side", "step", "time", "node", "x", "y", "z"]];
      for (const side of sides) {
        const found = coordinates(side);
        for (let frame = 0; found && frame < found.frames; frame++) {
          for (let node = 0; node < n; node++) {
            out.push([side.key, one.steps[frame], one.times ? one.times[frame] : "", block.nodes[node],
              ...[0, 1, 2].map((axis) => Number(found.at(frame, node, axis).toPrecision(5)))]);
          }
        }
      }
      return out;
    };

    const select = make("select", { id: `${id}-run`, onchange: (event) => {
      stop();
      const share = state.frame / Math.max(1, current().steps.length - 1);
      state.series = event.target.selectedIndex;
      slider.max = String(current().steps.length - 1);
      goTo(Math.round(share * (current().steps.length - 1)));
    } }, ...series.map((one) => make("option", { text: one.name })));
    const slider = make("input", { type: "range", min: 0, max: series[0].steps.length - 1, step: 1, value: state.frame,
      "aria-label": "Step of the training", oninput: (event) => { stop(); goTo(Number(event.target.value)); } });
    const readout = make("output", {});
    const play = make("button", { type: "button", text: "Play", "aria-pressed": "false", onclick: () => {
      if (state.timer) { stop(); return; }
      if (state.frame === current().steps.length - 1) goTo(0);
      play.textContent = "Stop";
      play.setAttribute("aria-pressed", "true");
      state.timer = setInterval(() => {
        goTo(state.frame + 1);
        if (state.frame === current().steps.length - 1) stop();
      }, PLAY_MS);
    } });
    const solid = make("button", { type: "button", text: "3D", "aria-pressed": "false", onclick: () => {
      if (!state.solid && !webgl()) {
        readout.textContent = "3D needs WebGL, which this browser does not offer";
        return;
      }
      state.solid = !state.solid;
      solid.setAttribute("aria-pressed", String(state.solid));
      draw();
    } });
    const withEdges = make("button", { type: "button", text: "Edges", "aria-pressed": "true", onclick: () => {
      state.edges = !state.edges;
      withEdges.setAttribute("aria-pressed", String(state.edges));
      draw();
    } });
    const moving = series.some((one) => one.steps.length > 1);
    const bar = make("div", { class: "bar" });
    if (series.length > 1) bar.append(make("label", { for: `${id}-run`, text: "Run" }), select);
    bar.append(solid, withEdges);
    const time = make("div", { class: "bar" }, ...(moving ? [play, slider] : []), readout);
    const saved = (side) => downloads(`${block.name}-${side.key}`, () => side.figure, side.place, rows);
    for (const side of sides) side.holder.append(make("div", { class: "bar" }, ...saved(side)));
    block.element = make("div", { class: "embedding" }, bar, time,
      make("div", { class: series.some((one) => one.theory) ? "twin" : "" }, ...sides.map((side) => side.holder)));
    whenSeen(block.element, () => { say(); draw(); link(); drawn.add(draw); block.element.dataset.drawn = "yes"; performance.mark("embedding"); });
    return block.element;
  };

  const RENDER = { plot: plotBlock, choice: choiceBlock, table: tableBlock, picture: pictureBlock, embedding: embeddingBlock };
  const render = (block) => RENDER[block.kind](block);

  /* ---- the page ---- */
  const ORDER = ["command", "seeds", "folder", "time", "commit", "versions", "python", "machine"];
  const sourceList = (source) => make("dl", {}, ...ORDER.filter((name) => source[name]).flatMap((name) => [
    make("dt", { text: name }),
    make("dd", {}, name === "command" ? make("code", { text: source[name] }) : source[name]),
  ]));
  const provenance = (source) => {
    if (!Object.keys(source).length) return [];
    const short = [source.command ? "command" : "folder", source.seeds ? `seeds ${source.seeds}` : null].filter(Boolean);
    return [make("details", {}, make("summary", { text: `Where these numbers come from (${short.join(", ")})` }), sourceList(source))];
  };
  const build = (content) => {
    const main = document.getElementById("main"), contents = document.getElementById("contents");
    document.getElementById("loading").remove();
    const several = content.parts.length > 1;
    content.parts.forEach((part, p) => {
      const facts = make("ul", { class: "facts" }, ...part.facts.map(([name, value]) =>
        make("li", {}, make("span", { text: `${name} ` }), make("b", { text: value }))));
      const title = make("h2", { text: part.title });
      const holder = several
        ? make("details", { class: "part", id: `part-${p}` }, make("summary", {}, title), facts)
        : make("div", { id: `part-${p}` }, title, facts);
      if (several) {
        holder.open = p === 0;
        contents.append(make("a", { href: `#part-${p}`, text: part.title, onclick: () => { holder.open = true; } }));
      }
      part.sections.forEach((section, s) => {
        const id = `part-${p}-section-${s}`;
        if (!several) contents.append(make("a", { href: `#${id}`, text: section.title }));
        holder.append(make("section", { id, "aria-labelledby": `${id}-title` },
          make("h3", { id: `${id}-title`, text: section.title }),
          ...section.notes.map((note) => make("p", { text: note })),
          ...section.blocks.map(render), ...provenance(section.source)));
      });
      main.append(holder);
    });
    const made = content.made;
    document.getElementById("made").append(
      `Page made by `, make("code", { text: made.command || "" }), ` on ${made.time}; ${made.versions}.`);
  };
  const painted = () => new Promise((resolve) => {
    setTimeout(resolve, 200); // where nothing is painted, as in a tab in the background
    requestAnimationFrame(() => requestAnimationFrame(resolve));
  });
  const start = async () => {
    setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
    document.getElementById("theme").addEventListener("click", () => {
      setTheme(!isDark());
      drawn.forEach((draw) => draw());
    });
    try {
      if (!("DecompressionStream" in window)) throw new Error("this browser cannot unpack it: use one from 2023 or later");
      build(JSON.parse(await unpack("data-gz")));
      performance.mark("text");
      // Text and tables are painted before plotly.js is run, which takes most of the time of opening the page.
      const [source] = await Promise.all([unpack("plotly-gz"), painted()]);
      document.head.append(make("script", { text: source }));
      performance.mark("library");
      root.dataset.ready = "yes";
      loaded();
    } catch (error) {
      document.getElementById("main").append(make("p", { class: "error", role: "alert", text: `The page could not be drawn: ${error.message}` }));
      throw error;
    }
  };
  start();
})();
