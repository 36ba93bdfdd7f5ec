extension HTMLReport {
    /// Sorts a table by the column whose title is pressed: numbers downwards first, names upwards.
    static let script = """
        for (const table of document.querySelectorAll("table.board")) {
            const titles = [...table.tHead.rows[0].cells];
            titles.forEach((title, column) => title.querySelector("button").addEventListener("click", () => {
                const isText = title.classList.contains("text");
                const isDown = title.getAttribute("aria-sort") === "descending";
                const isUp = title.getAttribute("aria-sort") === "ascending";
                const sign = isDown || (isText && !isUp) ? 1 : -1;
                const value = row => row.cells[column].dataset.value;
                const rows = [...table.tBodies[0].rows].sort((a, b) => sign * (isText
                    ? value(a).localeCompare(value(b), "en", { numeric: true })
                    : value(a) - value(b)));
                titles.forEach(other => other.removeAttribute("aria-sort"));
                title.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
                table.tBodies[0].append(...rows);
            }));
        }
        """

    static let style = """
        :root {
            --ground: #fbfbfa; --panel: #ffffff; --ink: #1c1d1f; --quiet: #63666b; --line: #e3e3df; --accent: #1f5fa8;
            --warn: #8a4b00; --warn-ground: #fff4e2;
            --f0: #2b6cb0; --f1: #c05621; --f2: #2f855a; --f3: #b83280; --f4: #6b46c1; --f5: #97741a; --f6: #2c7a7b;
            --f7: #c53030; --f8: #4a5568; --f9: #6b7f12;
        }
        @media (prefers-color-scheme: dark) {
            :root {
                --ground: #141517; --panel: #1b1d20; --ink: #e7e7e4; --quiet: #9a9da3; --line: #2f3237;
                --accent: #8ab8ee; --warn: #f2c27c; --warn-ground: #33270f;
                --f0: #6aa9ea; --f1: #ee9a6a; --f2: #6fc394; --f3: #ec86bb; --f4: #b09cf0; --f5: #d9b95c;
                --f6: #6cc5c6; --f7: #f28b8b; --f8: #a9b4c4; --f9: #b5cc4f;
            }
        }
        * { box-sizing: border-box; }
        body {
            margin: 0 auto; max-width: 72rem; padding: 2.5rem 1.5rem 4rem; background: var(--ground); color: var(--ink);
            font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
            font-variant-numeric: tabular-nums; overflow-wrap: anywhere; -webkit-text-size-adjust: 100%;
        }
        h1, h2, h3, h4, h5, p, dl, ul, figure { margin: 0; }
        h1 { font-size: 1.75rem; font-weight: 650; letter-spacing: -0.015em; line-height: 1.2; }
        h2 { font-size: 1.25rem; font-weight: 650; letter-spacing: -0.01em; }
        h3 { font-size: 1rem; font-weight: 650; margin: 2.5rem 0 0.75rem; }
        h4 { font-size: 1rem; font-weight: 650; }
        h5 { font-size: 0.8125rem; font-weight: 600; color: var(--quiet); margin: 1rem 0 0.25rem; }
        section { margin-top: 2.75rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
        a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 0.15em; }
        code { font: 0.9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
        .quiet { color: var(--quiet); font-size: 0.875rem; margin-top: 0.25rem; }
        .warning {
            margin-top: 1rem; padding: 0.5rem 0.75rem; border-radius: 4px; font-size: 0.875rem; color: var(--warn);
            background: var(--warn-ground);
        }
        .tag {
            font-size: 0.6875rem; font-weight: 500; padding: 0.1em 0.45em; border-radius: 3px; color: var(--warn);
            background: var(--warn-ground); white-space: nowrap;
        }
        .dot { display: inline-block; width: 0.6em; height: 0.6em; border-radius: 50%; margin-right: 0.5em; }
        .f0 { --c: var(--f0); } .f1 { --c: var(--f1); } .f2 { --c: var(--f2); } .f3 { --c: var(--f3); }
        .f4 { --c: var(--f4); } .f5 { --c: var(--f5); } .f6 { --c: var(--f6); } .f7 { --c: var(--f7); }
        .f8 { --c: var(--f8); } .f9 { --c: var(--f9); }
        .dot { background: var(--c); }

        .scroll { overflow-x: auto; margin-top: 1.25rem; }
        table { border-collapse: collapse; width: 100%; font-size: 0.875rem; overflow-wrap: normal; }
        th, td { padding: 0.45rem 0 0.45rem 1.25rem; text-align: right; white-space: nowrap; }
        thead th { border-bottom: 1px solid var(--ink); padding-bottom: 0.35rem; }
        tbody tr { border-bottom: 1px solid var(--line); }
        tbody tr:hover { background: color-mix(in srgb, var(--ink) 4%, transparent); }
        th:first-child { text-align: left; padding-left: 0; font-weight: 500; }
        td b { font-weight: 650; }
        thead button {
            all: unset; cursor: pointer; font-weight: 500; font-size: 0.8125rem; color: var(--quiet);
        }
        thead button:hover, thead button:focus-visible, th[aria-sort] button { color: var(--ink); }
        thead button:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px; }
        th[aria-sort="descending"] button::after { content: " ↓"; }
        th[aria-sort="ascending"] button::after { content: " ↑"; }
        .interval span { color: var(--quiet); }
        .interval svg { width: 6rem; height: 0.5rem; margin-left: 0.75rem; vertical-align: middle; }
        .interval line { stroke: var(--quiet); stroke-width: 1.5; }
        .interval circle { fill: var(--ink); }

        .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1.5rem; }
        .plots { margin-top: 2.25rem; }
        figcaption { font-size: 0.875rem; font-weight: 600; margin-bottom: 0.5rem; }
        figcaption small { font-size: 0.75rem; font-weight: 400; color: var(--quiet); white-space: nowrap; }
        figure svg { display: block; width: 100%; height: auto; max-width: 36rem; overflow: visible; }
        figure text { font-size: 11px; fill: var(--ink); }
        figure .tick, figure .axis { fill: var(--quiet); }
        figure .grid { stroke: var(--line); stroke-width: 1; }
        figure .whisker { stroke: var(--c); stroke-width: 1.25; opacity: 0.45; }
        figure .leader { stroke: var(--quiet); stroke-width: 0.75; }
        figure circle { fill: var(--c); stroke: var(--ground); stroke-width: 1.25; }
        figure .name { paint-order: stroke; stroke: var(--ground); stroke-width: 3px; stroke-linejoin: round; }
        .legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; margin-top: 0.5rem; font-size: 0.8125rem; }
        .legend { color: var(--quiet); }

        .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(21rem, 100%), 1fr)); gap: 1rem; }
        article {
            background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 1.125rem 1.25rem;
            max-width: 36rem;
        }
        .paper { font-size: 0.8125rem; color: var(--quiet); margin-top: 0.25rem; line-height: 1.4; }
        .figures { display: flex; gap: 1.5rem; margin: 1rem 0; }
        .figures div { display: flex; flex-direction: column; }
        .figures span, .figures small { font-size: 0.75rem; color: var(--quiet); line-height: 1.35; }
        .figures b { font-size: 1.25rem; font-weight: 650; letter-spacing: -0.01em; line-height: 1.3; white-space: nowrap; }
        dl { font-size: 0.8125rem; }
        dl div { display: grid; grid-template-columns: 7.5rem 1fr; gap: 0.75rem; padding: 0.125rem 0; }
        dt { color: var(--quiet); }
        dd { margin: 0; }
        section > dl { margin-top: 0.75rem; }
        .time { font-size: 0.8125rem; margin-top: 1rem; }
        .time small { font-size: 0.75rem; color: var(--quiet); }
        .bar { display: flex; height: 0.375rem; border-radius: 3px; overflow: hidden; margin: 0.35rem 0 0.25rem; }
        .bar .decode { background: var(--f5); } .bar .preprocess { background: var(--f6); }
        .bar .model { background: var(--f0); }
        .confusions { list-style: none; padding: 0; font-size: 0.8125rem; }
        .confusions li {
            display: grid; grid-template-columns: auto 1fr auto; gap: 0.75rem; align-items: center; padding: 0.25rem 0;
        }
        .confusions em { font-style: normal; color: var(--quiet); }
        .thumbs { display: flex; gap: 0.25rem; min-width: 1px; }
        .thumbs img { width: 2.5rem; height: 2.5rem; object-fit: cover; border-radius: 3px; display: block; }
        .thumbs img.tiny { image-rendering: pixelated; object-fit: contain; }
        .times { color: var(--quiet); }

        @media (max-width: 40rem) {
            body { padding: 1.5rem 1rem 3rem; }
            h1 { font-size: 1.5rem; }
            figure text { font-size: 13px; }
            .scroll { margin-left: -1rem; margin-right: -1rem; padding: 0 1rem; }
            th:first-child { position: sticky; left: -1rem; background: var(--ground); padding-right: 0.25rem; }
        }
        @media print {
            article { break-inside: avoid; }
        }

        """
}
