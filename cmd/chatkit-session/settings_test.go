package main

import (
	"os"
	"strings"
	"testing"
)

// docs/settings.md is what go generate makes of the settings.
func TestSettingsPage_IsCurrent(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != settingsPage() {
		t.Error("docs/settings.md is stale: run go generate ./cmd/chatkit-session")
	}
}

func TestAllSettings_AreDescribed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range allSettings() {
		if s.group == "" || s.name == "" || s.form == "" || !strings.HasSuffix(s.help, ".") || seen[s.name] {
			t.Errorf("%+v is not described", s)
		}
		seen[s.name] = true
	}
}
