package diff

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed page.html
var pageText string

// page is what the template sees.
type page struct {
	A, B string
	*Diff
}

// WriteHTML writes d as one page without external resources: a summary by pass, collapsible lists, and a search box. a and b
// name the graphs in its heading.
func (d *Diff) WriteHTML(w io.Writer, a, b string) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"lines":    func(c Changed) []string { return c.lines() },
		"attrLine": func(a Attribute) string { return a.line() },
		"passName": PassName,
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return t.Execute(w, page{A: a, B: b, Diff: d})
}
