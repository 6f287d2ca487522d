/** The stylesheet of the report: a journal page on screen, in dark mode and on paper. */
export const STYLES = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1e23; --soft: #596069; --rule: #c9ced4; --hair: #e6e8eb; --tint: #f5f6f7;
  --positive: 42 120 190; --negative: 205 90 40; --banner: #fff4d6; --banner-rule: #c98a00;
  --serif: Charter, "Bitstream Charter", "Source Serif 4", Cambria, Georgia, "DejaVu Serif", serif;
  --sans: "Helvetica Neue", Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --ink: #e4e6e9; --soft: #9aa2ab; --rule: #4a515a; --hair: #2b3037; --tint: #1d2126;
    --positive: 70 150 225; --negative: 225 115 65; --banner: #3a2f10; --banner-rule: #d9a21b;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 var(--serif); }
main { max-width: 900px; margin: 0 auto; padding: 44px 28px 72px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .35rem; text-wrap: balance; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 3rem 0 .8rem; padding-top: .9rem; border-top: 1px solid var(--rule); }
h4 { font: 600 .82rem/1.3 var(--sans); margin: 0 0 .3rem; overflow-wrap: anywhere; }
p { margin: .6rem 0; }
.lead { color: var(--soft); margin: 0 0 1.6rem; }
.banner { border-left: 5px solid var(--banner-rule); background: var(--banner); padding: .8rem 1rem; margin: 0 0 1.6rem; }
.banner b { font-family: var(--sans); letter-spacing: .01em; }
.banner p { margin: .2rem 0 0; }
.missing { color: var(--soft); font-style: italic; }
figure { margin: 1.8rem 0 2.4rem; break-inside: avoid; }
figcaption, .note { font: .82rem/1.5 var(--sans); color: var(--soft); margin-top: .6rem; max-width: 760px; }
figure.table > figcaption { margin: 0 0 .5rem; }
figcaption b { color: var(--ink); }
figure svg { --plot-background: var(--paper); overflow: visible; }
figure > svg { margin: 0 auto; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 1.4rem 1.6rem; }
.panels.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); }
.panel { min-width: 0; break-inside: avoid; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 0 0 .6rem; padding: 0; font: .8rem/1.5 var(--sans); }
.legend li { display: flex; align-items: center; gap: .4rem; overflow-wrap: anywhere; }
.legend svg { flex: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font: .84rem/1.4 var(--sans); font-variant-numeric: tabular-nums lining-nums; border-top: 1.5px solid var(--ink); border-bottom: 1.5px solid var(--ink); width: 100%; }
thead th { border-bottom: 1px solid var(--ink); font-weight: 600; vertical-align: bottom; }
th, td { padding: .3rem .55rem; text-align: right; }
th:first-child { text-align: left; padding-left: .1rem; }
td:last-child, th:last-child { padding-right: .2rem; }
tbody th { font-weight: 400; overflow-wrap: break-word; max-width: 18rem; }
tbody tr + tr > * { border-top: 1px solid var(--hair); }
tfoot > tr > * { border-top: 1px solid var(--ink); color: var(--soft); font-weight: 400; font-style: italic; }
td b { font-weight: 700; }
.models td { white-space: nowrap; }
.models th:first-child { min-width: 9.6rem; }
.nowrap { white-space: nowrap; }
.spread { color: var(--soft); font-weight: 400; }
.blocks { display: flex; flex-wrap: wrap; gap: 1.4rem 2.2rem; align-items: start; }
.pam50 { flex: 1 1 340px; width: auto; font-size: .8rem; }
.pam50 th, .pam50 td { padding: .16rem .32rem; }
.pam50 thead th { font-size: .74rem; }
.pam50 td { text-align: center; }
.pam50 thead th:not(:first-child) { text-align: center; }
.positive { background: rgb(var(--positive) / calc(var(--r) * .55)); }
.negative { background: rgb(var(--negative) / calc(var(--r) * .55)); }
.list th { width: 15rem; color: var(--soft); vertical-align: top; }
.list td { text-align: left; overflow-wrap: anywhere; white-space: pre-wrap; }
pre { background: var(--tint); border: 1px solid var(--hair); padding: .7rem .9rem; font: .82rem/1.5 var(--mono); white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid var(--rule); font: .78rem/1.5 var(--sans); color: var(--soft); }
@media screen and (max-width: 700px) {
  main { padding: 28px 16px 48px; }
  figure { overflow-x: auto; }
  figure > svg { min-width: 640px; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --rule: #999; --hair: #ddd; --tint: #f6f6f6;
    --positive: 42 120 190; --negative: 205 90 40; --banner: #fff4d6; --banner-rule: #c98a00; }
  @page { margin: 18mm 16mm; }
  html { font-size: 12.2px; }
  th, td { padding: .25rem .38rem; }
  .models th:first-child { min-width: 0; }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  .panels { grid-template-columns: 1fr 1fr; }
  .panels.small { grid-template-columns: 1fr 1fr 1fr; }
  .scroll { overflow: visible; }
  td, .banner { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
