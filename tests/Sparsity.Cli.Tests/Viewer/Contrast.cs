using System.Text.Json;
using Microsoft.Playwright;

namespace Sparsity.Cli.Tests.Viewer;

/// <summary>
/// WCAG 2 contrast of what a page shows: every visible text against what lies behind it, and the marks that carry meaning. Colours are what
/// the browser computed, laid over one another as it paints them, opacities included; the page must lie in the window as a whole.
/// </summary>
internal static class Contrast
{
    /// <summary>Text: 4.5, or 3 where it is large. Marks, and borders of fields and buttons: 3.</summary>
    /// <param name="page">As it stands.</param>
    /// <returns>How many things were measured, and those that fall short, each with its contrast.</returns>
    public static async Task<(int Measured, string[] Short)> MeasureAsync(IPage page)
    {
        JsonElement result = (await page.EvaluateAsync(Script))!.Value;
        return (
            result.GetProperty("measured").GetInt32(),
            [.. result.GetProperty("short").EnumerateArray().Select(line => line.GetString()!)]
        );
    }

    private const string Script = """
        () => {
          const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const cache = new Map();
          // [red, green, blue, alpha] of any CSS colour, by painting it: 0 to 255, alpha 0 to 1.
          const parse = (colour) => {
            if (!cache.has(colour)) {
              canvas.clearRect(0, 0, 1, 1);
              canvas.fillStyle = "#000";
              canvas.fillStyle = colour;
              canvas.fillRect(0, 0, 1, 1);
              const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
              cache.set(colour, [r, g, b, a / 255]);
            }
            return cache.get(colour);
          };
          const over = (top, ground) => [0, 1, 2].map((i) => top[i] * top[3] + ground[i] * (1 - top[3])).concat(1);
          const faded = (colour, opacity) => [colour[0], colour[1], colour[2], colour[3] * opacity];
          const luminance = (colour) => {
            const [r, g, b] = colour.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const contrast = (a, b) => {
            const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
            return (high + 0.05) / (low + 0.05);
          };
          const opacityOf = (element) => {
            let opacity = 1;
            for (let at = element; at; at = at.parentElement) {
              opacity *= Number(getComputedStyle(at).opacity);
            }
            return opacity;
          };
          const painted = (element) => {
            const style = getComputedStyle(element);
            if (!(element instanceof SVGElement)) {
              return parse(style.backgroundColor);
            }
            return element.matches("rect, circle, path") && style.fill !== "none" ? faded(parse(style.fill), Number(style.fillOpacity)) : [0, 0, 0, 0];
          };
          // What is painted below an element at a point, from the bottom. What the pointer does not see, such as the tooltip, lies on its ancestors.
          const ground = (element, x, y) => {
            const stack = document.elementsFromPoint(x, y);
            const own = stack.indexOf(element);
            const ancestors = [];
            for (let at = element; at; at = at.parentElement) {
              ancestors.push(at);
            }
            const below = own < 0 ? ancestors : stack.slice(own + (element instanceof SVGElement ? 1 : 0));
            return below.reverse().reduce((colour, other) => over(faded(painted(other), opacityOf(other)), colour), parse(getComputedStyle(document.documentElement).colorScheme === "dark" ? "#000" : "#fff"));
          };
          const short = [];
          let measured = 0;
          const demand = (ratio, least, what) => {
            measured++;
            if (!(ratio >= least)) {
              short.push(`${what}: ${ratio.toFixed(2)} < ${least}`);
            }
          };
          const nameOf = (element) => element.tagName.toLowerCase() + (element.getAttribute("class") ? "." + element.getAttribute("class").replaceAll(" ", ".") : "");
          const inWindow = (box) => box.width > 0 && box.height > 0 && box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;

          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const element = node.parentElement;
            if (!node.data.trim() || element.closest("script, style, option, .unseen") || !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) {
              continue;
            }
            const range = document.createRange();
            range.selectNodeContents(node);
            const box = range.getClientRects()[0];
            if (!box || !inWindow(box)) {
              continue;
            }
            const style = getComputedStyle(element);
            const svg = element instanceof SVGElement;
            const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
            const halo = svg && style.paintOrder.startsWith("stroke") && style.stroke !== "none";
            const behind = halo ? over(parse(style.stroke), [0, 0, 0, 1]) : ground(element, x, y);
            const ink = over(faded(parse(svg ? style.fill : style.color), opacityOf(element)), behind);
            const size = parseFloat(style.fontSize);
            const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
            demand(contrast(ink, behind), large ? 3 : 4.5, `text "${node.data.trim().slice(0, 30)}" in ${nameOf(element)}`);
          }

          for (const element of document.querySelectorAll(".graph .edge, .graph .link, .graph .readout, .graph .bias, .graph .shape, .graph .effect, .chart .line, .chart .dot, .chart .bar, .chart .mark, .swatch line")) {
            const style = getComputedStyle(element);
            if (!element.checkVisibility({ checkOpacity: true }) || element.closest(".dimmed, .unshared, .has-selection")) {
              continue; // set back on purpose
            }
            const box = element.getBoundingClientRect();
            let [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
            if (element instanceof SVGGeometryElement && style.fill === "none") {
              const middle = element.getPointAtLength(element.getTotalLength() / 2).matrixTransform(element.getScreenCTM());
              [x, y] = [middle.x, middle.y];
            }
            if (x < 0 || y < 0 || x > innerWidth || y > innerHeight) {
              continue;
            }
            const behind = element.matches(".effect") ? over(parse(getComputedStyle(element.parentElement.querySelector(".shape")).fill), [255, 255, 255, 1])
              : (() => {
                const field = document.elementsFromPoint(x, y).find((other) => other.matches(".band, .box, .bar-ground") || (!(other instanceof SVGElement) && parse(getComputedStyle(other).backgroundColor)[3] === 1));
                return over(painted(field ?? document.body), [255, 255, 255, 1]);
              })();
            const opacity = opacityOf(element);
            const colours = [style.stroke === "none" ? null : faded(parse(style.stroke), opacity * Number(style.strokeOpacity)), style.fill === "none" ? null : faded(parse(style.fill), opacity * Number(style.fillOpacity))];
            demand(Math.max(...colours.filter(Boolean).map((colour) => contrast(over(colour, behind), behind))), 3, `mark ${nameOf(element)}`);
          }

          for (const element of document.querySelectorAll("button, select, input[type=text], input[type=search], input[type=number]")) {
            const style = getComputedStyle(element);
            const box = element.getBoundingClientRect();
            const bordered = parse(style.borderBottomColor)[3] > 0 && style.borderBottomStyle !== "none" && parseFloat(style.borderBottomWidth) > 0;
            if (!element.checkVisibility() || !inWindow(box) || !bordered || element.matches("[role=tab]")) {
              continue; // a control without a border is known by its text
            }
            const behind = ground(element.parentElement, box.left - 1, box.top + box.height / 2);
            demand(contrast(over(parse(style.borderBottomColor), behind), behind), 3, `border of ${nameOf(element)} "${(element.textContent || element.id).slice(0, 20)}"`);
          }
          return { measured, short: [...new Set(short)] };
        }
        """;
}
