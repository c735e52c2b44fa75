/* What happens in the browser alone: choices become the URL, the colour scheme a cookie, the page the window's title. */
function genomeSearch(search, name, value) {
    const parameters = new URLSearchParams(search || "");
    if ((parameters.get(name) || "") === value) {
        return window.dash_clientside.no_update;
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
