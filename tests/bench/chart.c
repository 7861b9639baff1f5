/* chart.c: the figures as a picture: a panel for each workload, a bar for each rival;
** and how the rates of the fills went from their first tenth to the last.
*/
#define _GNU_SOURCE
#include <math.h>

#include "report.h"

enum { COLUMNS = 4, PANEL_W = 330, BAR_H = 16, GAP = 26, HEAD = 96, TITLE = 40, LABEL_W = 108 };

typedef struct panel {
  char title[80];
  char note[120];
  double value[RIVALS]; /* < 0: none */
  bool less;            /* is better */
} panel;

static void amount(double v, char *text, size_t size) {
  if (v >= 1e6) {
    snprintf(text, size, "%.2f M", v / 1e6);
  } else if (v >= 1e5) {
    snprintf(text, size, "%.0f k", v / 1e3);
  } else if (v >= 1e3) {
    snprintf(text, size, "%.1f k", v / 1e3);
  } else {
    snprintf(text, size, v >= 100 ? "%.0f" : v >= 1 ? "%.1f" : "%.2f", v);
  }
}

static int bars(const panel *p) {
  int n = 0;
  for (int i = 0; i < RIVALS; i++) n += p->value[i] >= 0;
  return n;
}

static void draw_panel(FILE *f, const panel *p, int x, int y) {
  double most = 0;
  char text[40];
  for (int i = 0; i < RIVALS; i++) {
    if (p->value[i] > most) most = p->value[i];
  }
  fprintf(f, "<text x='%d' y='%d' class='t'>%s</text>\n", x, y + 14, p->title);
  fprintf(f, "<text x='%d' y='%d' class='n'>%s%s</text>\n", x, y + 29, p->note,
          p->less ? ", less is better" : "");
  y += TITLE;
  for (int i = 0; i < RIVALS; i++) {
    if (p->value[i] < 0) continue;
    double room = PANEL_W - LABEL_W - 80;
    double width = most > 0 ? p->value[i] / most * room : 0;
    amount(p->value[i], text, sizeof text);
    fprintf(f, "<text x='%d' y='%d' class='l'>%s</text>", x + LABEL_W - 5, y + 12,
            rival_list[i].label);
    fprintf(f, "<rect x='%d' y='%d' width='%.1f' height='%d' fill='%s'/>", x + LABEL_W, y + 2,
            width < 1 ? 1 : width, BAR_H - 4, rival_list[i].colour);
    fprintf(f, "<text x='%.1f' y='%d' class='v'>%s</text>\n", x + LABEL_W + width + 5, y + 12,
            text);
    y += BAR_H;
  }
}

/* Rates of all workloads, then what fillrandom and the commits cost. */
static int make_panels(const report *rep, panel *p) {
  static const char *const titles[] = {"bytes written by fillrandom", "disk after fillrandom",
                                       "memory during fillrandom", "slowest 0.1 % of commits"};
  static const char *const notes[] = {"MB, to write calls, settled", "MB, settled",
                                      "MB over the baseline", "ms at least, while compacting"};
  int n = 0;
  for (int w = 0; w < WORKLOADS; w++) {
    snprintf(p[n].title, sizeof p[n].title, "%s", workload_list[w].name);
    snprintf(p[n].note, sizeof p[n].note, "%s/s", workload_list[w].unit);
    for (int i = 0; i < RIVALS; i++) {
      const result *r = rep->all[w][i];
      p[n].value[i] = r != NULL ? rate_of(r) : -1;
    }
    if (bars(&p[n]) > 0) n++;
  }
  for (int k = 0; k < 4; k++) {
    snprintf(p[n].title, sizeof p[n].title, "%s", titles[k]);
    snprintf(p[n].note, sizeof p[n].note, "%s", notes[k]);
    p[n].less = true;
    for (int i = 0; i < RIVALS; i++) {
      const result *r = rep->all[k == 3 ? W_COMMIT_COMPACT : W_FILLRANDOM][i];
      p[n].value[i] = r == NULL || i == R_NULL ? -1
                      : k == 0                 ? r->written / 1e6
                      : k == 1                 ? r->disk / 1e6
                      : k == 2                 ? r->peak_mb - r->base_mb
                                               : hist_us(&r->latency, 0.999) / 1e3;
    }
    if (bars(&p[n]) > 0) n++;
  }
  return n;
}

enum { LINES_H = 190, LINES_W = 2 * PANEL_W - 60 };

/* Rates by tenths: the height is logarithmic, from 1,000 to 10 million rows/s. */
static void draw_lines(FILE *f, const report *rep, workload what, int x, int y) {
  int last = 0;
  fprintf(f, "<text x='%d' y='%d' class='t'>%s, tenth by tenth</text>\n", x, y + 14,
          workload_list[what].name);
  fprintf(f, "<text x='%d' y='%d' class='n'>rows/s, logarithmic</text>\n", x, y + 29);
  x += 50, y += TITLE;
  for (int i = 0; i <= 4; i++) {
    static const char *const marks[] = {"1 k", "10 k", "100 k", "1 M", "10 M"};
    int at = y + LINES_H - i * LINES_H / 4;
    fprintf(f, "<text x='%d' y='%d' class='l'>%s</text>", x - 6, at + 4, marks[i]);
    fprintf(f, "<rect x='%d' y='%d' width='%d' height='1' fill='#dddddd'/>\n", x, at,
            LINES_W - 170);
  }
  for (int i = 0; i < RIVALS; i++) {
    const result *r = rep->all[what][i];
    double end = 0;
    int n = 0;
    if (r == NULL) continue;
    fprintf(f, "<polyline fill='none' stroke='%s' stroke-width='2' points='", rival_list[i].colour);
    for (int t = 0; t < 10; t++) {
      if (r->tenth[t] < 1000) continue;
      end = y + LINES_H * (1 - (log10(r->tenth[t]) - 3) / 4);
      fprintf(f, "%.1f,%.1f ", x + (t + 0.5) * (LINES_W - 170) / 10, end);
      n = t;
    }
    fprintf(f, "'/><circle cx='%.1f' cy='%.1f' r='3' fill='%s'/>",
            x + (n + 0.5) * (LINES_W - 170) / 10, end, rival_list[i].colour);
    fprintf(f, "<rect x='%d' y='%d' width='14' height='4' fill='%s'/>", x + LINES_W - 150,
            y + 8 + last * 17, rival_list[i].colour);
    fprintf(f, "<text x='%d' y='%d' class='v'>%s</text>\n", x + LINES_W - 130, y + 14 + last * 17,
            rival_list[i].label);
    last++;
  }
}

/* The fills that there are, two in a row; their height. */
static int draw_fills(FILE *f, const report *rep, int y) {
  static const workload fills[] = {W_FILLRANDOM, W_BIG};
  int n = 0;
  for (int i = 0; i < 2; i++) {
    bool any = false;
    for (int j = 0; j < RIVALS; j++) any = any || rep->all[fills[i]][j] != NULL;
    if (any && f != NULL) draw_lines(f, rep, fills[i], 20 + n * 2 * PANEL_W, y);
    n += any;
  }
  return n > 0 ? TITLE + LINES_H + GAP : 0;
}

static int row_height(const panel *p, int first, int count) {
  int most = 0;
  for (int i = first; i < first + COLUMNS && i < count; i++) {
    if (bars(&p[i]) > most) most = bars(&p[i]);
  }
  return TITLE + most * BAR_H + GAP;
}

bool report_svg(const report *rep, const char *path) {
  static panel p[WORKLOADS + 4];
  int count = make_panels(rep, p), width = COLUMNS * PANEL_W + 40, height = HEAD;
  FILE *f = fopen(path, "w");
  if (f == NULL) return false;
  for (int i = 0; i < count; i += COLUMNS) height += row_height(p, i, count);
  height += draw_fills(NULL, rep, 0);
  fprintf(f,
          "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d'>\n"
          "<style>text{font-family:Helvetica,Arial,'DejaVu Sans',sans-serif;fill:#222}"
          ".h{font-size:20px;font-weight:bold}.s{font-size:12px;fill:#555}"
          ".t{font-size:14px;font-weight:bold}.n{font-size:11px;fill:#666}"
          ".l{font-size:11px;text-anchor:end}.v{font-size:11px}</style>\n"
          "<rect width='100%%' height='100%%' fill='white'/>\n"
          "<text x='20' y='34' class='h'>sqlite-lsm: make bench</text>\n"
          "<text x='20' y='56' class='s'>%.0f rows of a %d-byte random key and a %d-byte "
          "half-compressible value, transactions of %d, WAL, synchronous=NORMAL, caches %d MB; "
          "one run, one machine.</text>\n"
          "<text x='20' y='74' class='s'>Bars are what was done in a second (longer is better), "
          "unless a panel says otherwise; each panel has a scale of its own, from zero.</text>\n",
          width, height, width, height, (double)rep->rows, KEY_SIZE, VALUE_SIZE, BATCH, CACHE_MB);
  int y = HEAD;
  for (int i = 0; i < count; i += COLUMNS) {
    for (int j = i; j < i + COLUMNS && j < count; j++) {
      draw_panel(f, &p[j], 20 + (j - i) * PANEL_W, y);
    }
    y += row_height(p, i, count);
  }
  draw_fills(f, rep, y);
  fprintf(f, "</svg>\n");
  bool good = ferror(f) == 0;
  return fclose(f) == 0 && good;
}
