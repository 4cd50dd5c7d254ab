namespace Sparsity.Cli.Report;

/// <summary>The page's style sheet, light and dark. It must hold none of the characters that XML escapes.</summary>
internal static class ReportStyle
{
    public const string Css = """

        :root { color-scheme: light dark; --paper: #ffffff; --panel: #f4f5f7; --ink: #1c2128; --soft: #5b6470; --rule: #d8dce2;
          --sparse: #1f6feb; --dense: #c2590a; --positive: #1f6feb; --negative: #cf222e; --ok: #1a7f37; --bad: #cf222e; --idle: #9aa4b0; --without: #8250df; }
        @media (prefers-color-scheme: dark) { :root { --paper: #12161c; --panel: #1b212a; --ink: #e4e8ee; --soft: #9ba6b4; --rule: #333c48;
          --sparse: #6cb0ff; --dense: #f0a050; --positive: #6cb0ff; --negative: #ff7b72; --ok: #56c271; --bad: #ff7b72; --idle: #6a7583; --without: #b392f0; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 1180px; padding: 24px 20px 64px; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
        h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
        h2 { font-size: 1.25rem; margin: 2.4rem 0 .5rem; border-bottom: 1px solid var(--rule); padding-bottom: .2rem; }
        h3 { font-size: 1.05rem; margin: 1.8rem 0 .3rem; overflow-wrap: anywhere; }
        p { max-width: 75ch; margin: .4rem 0; overflow-wrap: anywhere; }
        .headline { font-size: 1.25rem; }
        .soft { color: var(--soft); }
        .bad { color: var(--bad); font-weight: 600; }
        td .bad { display: inline-block; white-space: normal; max-width: 8.5em; }
        .ok { color: var(--ok); }
        .scroll { overflow-x: auto; margin: .6rem 0; }
        .pair { display: flex; flex-wrap: wrap; gap: 16px; }
        .pair .scroll { flex: 0 1 auto; }
        table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
        caption { text-align: left; color: var(--soft); padding: .3rem 0; }
        th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
        thead th { vertical-align: bottom; white-space: normal; }
        th:first-child, td:nth-child(2), thead th:nth-child(2) { text-align: left; }
        svg { display: block; font: 11px system-ui, sans-serif; }
        svg text { fill: var(--ink); }
        svg .tick, svg .note { fill: var(--soft); }
        svg .note { font-size: 12px; }
        svg .group { font-size: 13px; font-weight: 600; }
        svg .end { text-anchor: end; }
        svg .middle { text-anchor: middle; }
        svg .grid { stroke: var(--rule); }
        svg .axis { stroke: var(--soft); }
        svg .reference { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 7 5; }
        svg .target { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 5 3; }
        svg .value { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
        svg .curve { fill: none; stroke: currentColor; stroke-width: 2; }
        svg .curve.thin { stroke-width: 1; opacity: .65; }
        svg .marker { fill: currentColor; }
        svg .sparse { color: var(--sparse); }
        svg .dense { color: var(--dense); }
        svg .measured { color: var(--ok); }
        svg .third { color: var(--without); }
        svg .fourth { color: var(--negative); }
        svg .bar-full { fill: var(--idle); }
        svg .bar-circuit { fill: var(--sparse); }
        svg .bar-without { fill: var(--without); }
        svg .bar-empty { fill: var(--soft); }
        svg .band { fill: var(--panel); }
        svg .link { fill: none; stroke: var(--idle); stroke-width: .9; stroke-dasharray: 3 3; opacity: .7; }
        svg .edge { stroke-opacity: .8; stroke-linecap: round; }
        svg .positive { stroke: var(--positive); }
        svg .negative { stroke: var(--negative); }
        svg .node { fill: var(--paper); stroke: var(--ink); stroke-width: 1.5; }
        svg .node:hover { fill: var(--dense); }
        svg .embedding { fill: var(--idle); }
        svg .channel { font-size: 10px; paint-order: stroke; stroke: var(--panel); stroke-width: 3px; stroke-linejoin: round; }

        """;
}
