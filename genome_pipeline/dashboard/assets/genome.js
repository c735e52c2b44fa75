/* What happens in the browser alone: choices become the URL, the colour scheme a cookie, the page the window's title. */
function noUpdate() {
    return window.dash_clientside.no_update;
}

/* A login that has ended: the page is asked for again, which leads to the login and back. */
const genomeFetch = window.fetch;
window.fetch = async function (...request) {
    const answer = await genomeFetch.apply(window, request);
    if (answer.status === 401) {
        window.location.reload();
    }
    return answer;
};

function genomeCells(cellType, cells, isNumber) {
    return cells.map((cell, position) => ({
        type: cellType,
        namespace: "dash_html_components",
        props: { children: cell, className: isNumber[position] ? "number" : "" },
    }));
}

function genomeElement(type, children, className) {
    return { type: type, namespace: "dash_html_components", props: { children: children, className: className || "" } };
}

/* A choice draws the page anew: whoever made it by keyboard goes on from there. */
function genomeKeepFocus(choice) {
    const find = () => document.querySelector(`[id^='{"choice":"${choice}"']`);
    const before = find();
    const started = Date.now();
    const timer = setInterval(() => {
        const now = find();
        if (now && now !== before) {
            (now.querySelector("[role=slider]") || now).focus({ preventScroll: true });
        }
        if ((now && now !== before) || Date.now() - started > 5000) {
            clearInterval(timer);
        }
    }, 50);
}

/* A view that is kept may name no customer: whoever is forgotten would stay in a browser. */
function genomeWithoutIds(search) {
    const parameters = new URLSearchParams(search || "");
    const conditions = parameters.getAll("where").filter((condition) => !/^\s*customer_id\s*:/.test(condition));
    parameters.delete("where");
    conditions.forEach((condition) => parameters.append("where", condition));
    return parameters;
}

function genomeSearch(search, name, value) {
    const parameters = new URLSearchParams(search || "");
    if ((parameters.get(name) || "") === value) {
        return noUpdate();
    }
    if (value) {
        parameters.set(name, value);
    } else {
        parameters.delete(name);
    }
    const query = parameters.toString();
    return query ? "?" + query : "";
}

window.dash_clientside = Object.assign({}, window.dash_clientside, {
    genome: {
        toggleColorScheme: function (clicks, scheme) {
            const next = scheme === "dark" ? "light" : "dark";
            document.cookie = "color_scheme=" + next + ";path=/;max-age=31536000;SameSite=Strict";
            return next;
        },
        chooseSnapshot: function (value, search) {
            return genomeSearch(search, "as_of", !value || value === "latest" ? "" : value);
        },
        chooseCustomer: function (value, search) {
            return value ? genomeSearch(search, "customer_id", value) : window.dash_clientside.no_update;
        },
        choose: function (values, search) {
            const chosen = window.dash_clientside.callback_context.triggered_id;
            const inputs = window.dash_clientside.callback_context.inputs_list[0];
            const position = chosen ? inputs.findIndex((input) => input.id.choice === chosen.choice) : -1;
            /* A page that has just been drawn reports its choices too: they are no news. */
            if (position < 0 || String(values[position]) === chosen.shown) {
                return noUpdate();
            }
            genomeKeepFocus(chosen.choice);
            return genomeSearch(search, chosen.choice, String(values[position]));
        },
        chartTable: function (clicks, data) {
            if (!clicks || !data) {
                return null;
            }
            const rows = data.rows.map((row) => genomeElement("Tr", genomeCells("Td", row, data.is_number)));
            const head = genomeElement("Tr", genomeCells("Th", data.headings, data.is_number));
            const table = genomeElement("Table", [genomeElement("Thead", head), genomeElement("Tbody", rows)], "table");
            const rest = data.left_out ? [genomeElement("P", data.left_out + " more rows in the CSV file.")] : [];
            const scrolled = genomeElement("Div", [table, ...rest], "table-scroll");
            scrolled.props.tabIndex = 0;
            return scrolled;
        },
        chartCsv: function (clicks, data) {
            if (!clicks || !data) {
                return noUpdate();
            }
            return { content: data.csv, filename: data.file, type: "text/csv;charset=utf-8" };
        },
        findSimilar: function (clicks, text, search) {
            if (!clicks) {
                return noUpdate();
            }
            const parameters = new URLSearchParams(search || "");
            parameters.delete("id");
            (text || "").split(/\r?\n/).map((line) => line.trim()).filter(Boolean).forEach((id) => parameters.append("id", id));
            const query = parameters.toString();
            return query ? "?" + query : "";
        },
        chooseTop: function (value, shown, search) {
            const isShown = !shown || value === "" || value === null || value === undefined || value === shown.top;
            return isShown ? noUpdate() : genomeSearch(search, "top", value === 100 ? "" : String(value));
        },
        chooseFirst: function (value, shown, search) {
            const isNone = value === "" || value === null || value === undefined;
            return !shown || (isNone ? null : value) === shown.first
                ? noUpdate()
                : genomeSearch(search, "first", isNone ? "" : String(value));
        },
        chooseBuys: function (category, shown, search) {
            if (!shown || !category || category === shown.buys) {
                return noUpdate();
            }
            const parameters = new URLSearchParams(search || "");
            if (!shown.buys) {
                /* The likeliest come first, with how likely they are, whatever was shown before. */
                parameters.delete("sort");
                parameters.delete("columns");
            }
            parameters.set("buys", category);
            return "?" + parameters.toString();
        },
        chooseColumns: function (names, shown, search) {
            const isShown = !shown || !names || names.join() === shown.columns.join();
            return isShown ? noUpdate() : genomeSearch(search, "columns", names.join());
        },
        sortAudience: function (request, shown, search) {
            const first = request && request.sortModel && request.sortModel[0];
            const sort = first ? first.colId + ":" + first.sort : "";
            return !shown || !sort || sort === shown.sort ? noUpdate() : genomeSearch(search, "sort", sort);
        },
        addFilter: function (clicks, column, op, value, search) {
            if (!clicks || !column || !op) {
                return noUpdate();
            }
            const parameters = new URLSearchParams(search || "");
            parameters.append("where", column + ":" + op + ":" + (value || ""));
            return "?" + parameters.toString();
        },
        // Views are kept in the browser: name -> query string, without the snapshot, so that they follow the latest, and
        // without customers, who may be forgotten.
        changeViews: function (saves, deletions, name, chosen, search, views) {
            const changed = Object.assign({}, views);
            const trigger = window.dash_clientside.callback_context.triggered_id;
            if (trigger === "audience-view-save" && saves && name && name.trim()) {
                const parameters = genomeWithoutIds(search);
                parameters.delete("as_of");
                changed[name.trim()] = parameters.toString();
                return changed;
            }
            if (trigger === "audience-view-delete" && deletions && chosen in changed) {
                delete changed[chosen];
                return changed;
            }
            return noUpdate();
        },
        listViews: function (views) {
            return Object.keys(views || {}).sort();
        },
        chooseView: function (name, views, search) {
            if (!name || !views || !(name in views)) {
                return noUpdate();
            }
            const asOf = new URLSearchParams(search || "").get("as_of");
            const parameters = genomeWithoutIds(views[name]);
            if (asOf) {
                parameters.set("as_of", asOf);
            }
            const query = parameters.toString();
            return query ? "?" + query : "";
        },
        setTitle: function (title) {
            document.title = title ? title + " · Customer Genome" : "Customer Genome";
            return window.dash_clientside.no_update;
        },
    },
});

/* Colours of the grids, from the variables of genome.css, so that both colour schemes fit. */
var dagfuncs = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
dagfuncs.genomeGrid = {
    backgroundColor: "var(--surface)",
    foregroundColor: "var(--ink)",
    headerBackgroundColor: "var(--sunken)",
    headerTextColor: "var(--muted)",
    borderColor: "var(--line)",
    rowHoverColor: "var(--sunken)",
    accentColor: "var(--model)",
    wrapperBorderRadius: "8px",
    fontFamily: "inherit",
    fontSize: 13,
};

/* A customer's id in a grid, as a link to the card at the same snapshot. */
var dagcomponentfuncs = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
dagcomponentfuncs.CustomerLink = function (props) {
    if (props.value === undefined || props.value === null) {
        return null;
    }
    const parameters = new URLSearchParams({ customer_id: props.value });
    const asOf = new URLSearchParams(window.location.search).get("as_of");
    if (asOf) {
        parameters.set("as_of", asOf);
    }
    const search = "?" + parameters.toString();
    return React.createElement(
        "a",
        {
            href: "/customer" + search,
            className: "customer-link",
            onClick: function (event) {
                if (event.ctrlKey || event.metaKey || event.shiftKey) {
                    return;
                }
                event.preventDefault();
                window.dash_clientside.set_props("url", { pathname: "/customer", search: search });
            },
        },
        props.value,
    );
};

/* The page as plain HTML makes room for the page itself, and never comes back. */
new MutationObserver(function (_, observer) {
    const page = document.getElementById("page");
    if (page && page.firstChild) {
        document.getElementById("first-paint").remove();
        observer.disconnect();
    }
}).observe(document.getElementById("react-entry-point"), { childList: true, subtree: true });
