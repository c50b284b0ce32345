package httpapi

import (
	"strings"

	"github.com/mileusna/useragent"

	"chatkit-session/core/session"
)

// maxAgent bounds the part of a User-Agent header that is parsed, in bytes.
// Browsers send about 150.
const maxAgent = 512

// clientOf returns the client that a User-Agent header describes. It is zero
// if nothing is recognised.
func clientOf(agent string) session.Client {
	agent = agent[:min(len(agent), maxAgent)]
	if agent == "" {
		return session.Client{}
	}
	said := useragent.Parse(agent)
	return session.NewClient(browserOf(agent, said), systemOf(said), kindOf(agent, said))
}

// browserOf returns the browser's name and major version. The parser reports
// an arbitrary word or the whole text if it recognises nothing; both are
// dropped.
func browserOf(agent string, said useragent.UserAgent) string {
	version := major(said.Version)
	if said.Name == agent || (version == "" && !said.Bot) {
		return ""
	}
	return strings.TrimSpace(said.Name + " " + version)
}

// systemOf returns the operating system's name, and its major version if it is
// reliable.
func systemOf(said useragent.UserAgent) string {
	if isFrozen(said) {
		return said.OS
	}
	return strings.TrimSpace(said.OS + " " + major(said.OSVersion))
}

// isFrozen reports whether browsers no longer send the real version of the
// system. They report Windows 11 as 10, every macOS as 10.15, iOS 26 as 18.6
// or 18.7, and later versions of Android as 10. Older Windows versions have
// internal numbers.
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

// kindOf returns the kind of device. On Android, browsers send "Mobile" unless
// they run on a tablet. Apps, which do not send "Mozilla/", never do.
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

// major returns the leading number of a version, or "".
func major(version string) string {
	return version[:len(version)-len(strings.TrimLeft(version, "0123456789"))]
}
