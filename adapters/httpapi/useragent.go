package httpapi

import (
	"strings"

	"github.com/mileusna/useragent"

	"chatkit-session/core/session"
)

// maxAgent bounds how much of a User-Agent header is read, in bytes: those of
// browsers have about 150.
const maxAgent = 512

// clientOf is what a User-Agent header says of its client; zero when it says
// nothing that is recognised.
func clientOf(agent string) session.Client {
	agent = agent[:min(len(agent), maxAgent)]
	if agent == "" {
		return session.Client{}
	}
	said := useragent.Parse(agent)
	return session.NewClient(browserOf(agent, said), systemOf(said), kindOf(agent, said))
}

// browserOf is the browser's name and main version. What has no version is any
// word of the text, but for bots; what nothing else was made of is the text.
func browserOf(agent string, said useragent.UserAgent) string {
	version := major(said.Version)
	if said.Name == agent || (version == "" && !said.Bot) {
		return ""
	}
	return strings.TrimSpace(said.Name + " " + version)
}

// systemOf is the system's name, and its main version where that can be told.
func systemOf(said useragent.UserAgent) string {
	if isFrozen(said) {
		return said.OS
	}
	return strings.TrimSpace(said.OS + " " + major(said.OSVersion))
}

// isFrozen reports whether the system's version may be another than the agent
// says: browsers have stopped to tell it. Windows 11 is 10 to them (and before
// 10, what Windows says is another number than people know it by), every macOS
// 10.15, iOS 26 is 18.6 or 18.7, and Android 10 or any later.
func isFrozen(said useragent.UserAgent) bool {
	switch {
	case said.IsWindows(), said.IsMacOS():
		return true
	case said.IsAndroid():
		return major(said.OSVersion) == "10"
	case said.IsIOS() && major(said.OSVersion) == "18":
		_, minor, _ := strings.Cut(said.OSVersion, ".")
		return major(minor) >= "6" || (said.IsSafari() && major(said.Version) != "18")
	}
	return false
}

// kindOf is what sort of device it is. Browsers on Android say "Mobile" unless
// they are on a tablet; apps, which name no Mozilla, never say it.
func kindOf(agent string, said useragent.UserAgent) string {
	tablet := said.IsAndroid() && strings.HasPrefix(agent, "Mozilla/") && !strings.Contains(agent, "Mobile")
	switch {
	case said.Bot:
		return "bot"
	case said.Tablet, tablet:
		return "tablet"
	case said.Mobile:
		return "mobile"
	case said.Desktop:
		return "desktop"
	}
	return ""
}

// major is the number that a version begins with; empty when it begins with
// none.
func major(version string) string {
	return version[:len(version)-len(strings.TrimLeft(version, "0123456789"))]
}
