package main

import (
	_ "embed"
	"fmt"
	"os"
	"strings"
)

//go:generate go run . settings-page ../../docs/settings.md

// settingsPageCommand writes docs/settings.md, so that the page and the help
// text of serve say the same.
type settingsPageCommand struct {
	File string `arg:"" type:"path" help:"File to write."`
}

// Run replaces the file.
func (c settingsPageCommand) Run(*process) error {
	return os.WriteFile(c.File, []byte(settingsPage()), 0o644) //nolint:gosec // documentation, which anyone may read
}

//go:embed settings_page_intro.md
var settingsPageIntro string

// settingsPage is docs/settings.md.
func settingsPage() string {
	inTable := strings.NewReplacer("|", `\|`, "*", `\*`)
	var page strings.Builder
	page.WriteString(settingsPageIntro)
	group := ""
	for _, s := range allSettings() {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&page, "\n## %s\n\n| Variable | Value | Default | Meaning |\n|---|---|---|---|\n", group)
		}
		fallback := ""
		if s.fallback != "" {
			fallback = "`" + s.fallback + "`"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", s.name, s.form, fallback, inTable.Replace(s.help))
	}
	return page.String()
}
