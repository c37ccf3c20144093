/** The look of the pages. Served as a file of its own: the content security policy allows no inline style. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: light-dark(#f6f5f2, #15171b);
  --card: light-dark(#ffffff, #1d2026);
  --ink: light-dark(#1c1d20, #e8e6e1);
  --soft: light-dark(#63666d, #9a9da5);
  --line: light-dark(#e2e0da, #30343c);
  --accent: light-dark(#2f5bd0, #8fb0ff);
  --good: light-dark(#1c7a43, #6fd08f);
  --good-bg: light-dark(#e3f4e9, #17301f);
  --edit: light-dark(#2f5bd0, #9db9ff);
  --edit-bg: light-dark(#e5ecfd, #1c2745);
  --warn: light-dark(#8a5a00, #f0bd5e);
  --warn-bg: light-dark(#fcf0d6, #362a10);
  --bad: light-dark(#b3261e, #ff9a90);
  --bad-bg: light-dark(#fce6e4, #3b1a18);
  --quiet-bg: light-dark(#edecea, #272b32);
  --mono: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  --radius: 10px;
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 2px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; letter-spacing: -0.01em; }
h2 { font-size: 0.8rem; text-transform: uppercase; letter-spacing: 0.08em; color: var(--soft); margin: 2.2rem 0 0.7rem; }
h3 { font-size: 0.95rem; margin: 0 0 0.25rem; }
p { margin: 0 0 0.4rem; }
code, pre, .id, .addr, .trace dd, .facts dd { font-family: var(--mono); font-size: 0.86em; }
.dim { color: var(--soft); }
small { color: var(--soft); }

.top { display: flex; align-items: center; gap: 1.2rem; padding: 0.7rem clamp(1rem, 4vw, 3rem); background: var(--card); border-bottom: 1px solid var(--line); }
.brand { display: flex; align-items: center; gap: 0.55rem; color: inherit; text-decoration: none; font-weight: 650; letter-spacing: 0.01em; }
.brand b { font-weight: 400; color: var(--soft); }
.brand img { display: block; }
.host { color: var(--soft); font-family: var(--mono); font-size: 0.82rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.top nav { margin-left: auto; display: flex; gap: 0.3rem; }
.top nav a { color: var(--soft); text-decoration: none; padding: 0.25rem 0.7rem; border-radius: 999px; }
.top nav a[aria-current] { background: var(--quiet-bg); color: var(--ink); }
main { max-width: 1280px; margin: 0 auto; padding: 1.6rem clamp(1rem, 4vw, 3rem) 4rem; }

.badge, .chip { display: inline-block; border-radius: 999px; padding: 0.05rem 0.6rem; font-size: 0.8rem; white-space: nowrap; background: var(--quiet-bg); color: var(--soft); }
.chip b { font-weight: 600; }
.chip i { font-style: normal; opacity: 0.75; font-variant-numeric: tabular-nums; }
.good { background: var(--good-bg); color: var(--good); }
.edit { background: var(--edit-bg); color: var(--edit); }
.warn { background: var(--warn-bg); color: var(--warn); }
.bad { background: var(--bad-bg); color: var(--bad); }

.mails { list-style: none; margin: 0; padding: 0; display: grid; gap: 0.6rem; }
.mail { display: grid; gap: 0.35rem; padding: 0.85rem 1.1rem; background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); color: inherit; text-decoration: none; }
.mail:hover { border-color: var(--accent); }
.line { display: flex; align-items: baseline; gap: 0.6rem; min-width: 0; }
.line strong { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 600; }
.line time, .figures { margin-left: auto; color: var(--soft); font-size: 0.85rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
.second > span:first-child { min-width: 0; overflow-wrap: anywhere; }
.chips { flex-wrap: wrap; gap: 0.35rem; }
.chips.list { list-style: none; padding: 0; display: grid; gap: 0.4rem; }
.arrow { color: var(--soft); }

.empty { text-align: center; padding: 5rem 1rem; }
.empty pre, pre { display: inline-block; text-align: left; max-width: 100%; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); padding: 0.8rem 1rem; }

.back { margin: 0 0 0.6rem; font-size: 0.9rem; }
.back a { text-decoration: none; }
.head h1 { margin-bottom: 0.5rem; }
.id { overflow-wrap: anywhere; }

.journey { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 1.4rem; }
.step { position: relative; min-width: 0; padding: 0.8rem 1rem; background: var(--card); border: 1px solid var(--line); border-top: 3px solid var(--line); border-radius: var(--radius); }
.step.unchanged { border-top-color: var(--good); }
.step.changed { border-top-color: var(--edit); }
.step.skipped, .step.bypassed { border-top-color: var(--warn); }
.step.refused, .step.failed { border-top-color: var(--bad); }
.step + .step::before { content: "→"; position: absolute; left: -1.25rem; top: 0.7rem; color: var(--soft); }
.step h3 a { color: inherit; text-decoration: none; }
.step h3 a:hover { text-decoration: underline; }
.step p { overflow-wrap: anywhere; font-size: 0.88rem; }
.step p.what { font-family: var(--mono); font-size: 0.85rem; }
.time { display: flex; align-items: center; gap: 0.5rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
meter { flex: 1; min-width: 3rem; height: 0.5rem; border: 0; border-radius: 999px; background: var(--quiet-bg); appearance: none; }
meter::-webkit-meter-bar { height: 0.5rem; border: 0; border-radius: 999px; background: var(--quiet-bg); }
meter::-webkit-meter-optimum-value { background: var(--accent); border-radius: 999px; }
meter::-moz-meter-bar { background: var(--accent); border-radius: 999px; }
.reply { display: block; white-space: pre-wrap; overflow-wrap: anywhere; }
.reply.r2 { color: var(--good); }
.reply.r4 { color: var(--warn); }
.reply.r5 { color: var(--bad); }

.edits { margin: 0; padding: 0; list-style: none; display: grid; gap: 0.3rem; }
.edits li { overflow-wrap: anywhere; }
.part { font-family: var(--mono); font-size: 0.78rem; color: var(--soft); border: 1px solid var(--line); border-radius: 4px; padding: 0 0.3rem; }

.diff { background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); overflow: hidden; font-size: 0.86rem; line-height: 1.55; }
.diff .row { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
.heading { padding: 0.5rem 0.9rem; font-weight: 600; border-bottom: 1px solid var(--line); background: var(--quiet-bg); }
.heading .dim { font-weight: 400; }
.diff .heading + .heading, .diff .row > .side + .side { border-left: 1px solid var(--line); }
.side { display: grid; grid-template-columns: 3.2rem minmax(0, 1fr); }
.side .n { text-align: right; padding-right: 0.8rem; color: var(--soft); opacity: 0.75; user-select: none; font-family: var(--mono); font-size: 0.78rem; line-height: 1.7; }
.side code { white-space: pre-wrap; tab-size: 4; overflow-wrap: anywhere; padding-right: 0.8rem; font-size: 0.84rem; min-height: 1.55em; }
.side.was { background: var(--bad-bg); }
.side.is { background: var(--good-bg); }
.side.none { background: repeating-linear-gradient(-45deg, transparent 0 6px, var(--quiet-bg) 6px 7px); }
del, ins, mark { text-decoration: none; border-radius: 3px; color: inherit; }
.was del { background: color-mix(in srgb, var(--bad) 26%, transparent); }
.is ins { background: color-mix(in srgb, var(--good) 26%, transparent); }
mark { background: var(--edit-bg); color: var(--edit); padding: 0 0.25rem; }
.diff details { border-block: 1px solid var(--line); }
.diff summary { cursor: pointer; padding: 0.25rem 0.9rem; color: var(--soft); background: var(--quiet-bg); font-size: 0.8rem; }

.trace { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.4rem 1rem; margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); padding: 0.8rem 1.1rem; }
.trace dt { font-weight: 600; font-size: 0.88rem; }
.trace dd, .facts dd { margin: 0; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.25rem 1rem; margin: 0; font-size: 0.9rem; }
.facts dt { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 1rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); padding: 1rem 1.2rem; }
.card h3 { font-size: 1.05rem; margin-bottom: 0.6rem; }
.card h3 a { text-decoration: none; }

.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); }
.plain { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
.plain th, .plain td { text-align: left; padding: 0.45rem 1rem; border-bottom: 1px solid var(--line); vertical-align: top; }
.plain tr:last-child > * { border-bottom: 0; }
.plain thead th { color: var(--soft); font-weight: 500; }
.plain tbody th { font-family: var(--mono); font-size: 0.85em; font-weight: 500; }

@media (max-width: 760px) {
  .host { display: none; }
  .second { flex-direction: column; gap: 0.1rem; }
  .figures { margin-left: 0; }
  .journey { grid-template-columns: 1fr; }
  .step + .step::before { content: "↓"; left: 1rem; top: -1.35rem; }
  .diff .row { grid-template-columns: minmax(0, 1fr); }
  .diff .row.same > .side:first-child, .diff .side.none, .diff .heads .heading:first-child { display: none; }
  .diff .row > .side + .side { border-left: 0; }
  .side { grid-template-columns: 2.4rem minmax(0, 1fr); }
  .trace { grid-template-columns: minmax(0, 1fr); gap: 0.1rem; }
  .trace dd { margin-bottom: 0.6rem; }
}
`;

/** A letter passing between two brackets. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke="#4a74e8" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round"><path d="M8 5H4v22h4M24 5h4v22h-4"/><path d="M9.5 11.5h13v9h-13zM9.5 12l6.5 5 6.5-5"/></g></svg>
`;
