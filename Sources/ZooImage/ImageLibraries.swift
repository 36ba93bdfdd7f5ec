import CImageShim

/// The decoders that are linked, for bug reports.
public enum ImageLibraries {
    /// The version of libpng that runs.
    public static var png: String { String(cString: cis_png_version()) }
    /// The version of the JPEG library that the shim was built with.
    public static var jpeg: String { String(cString: cis_jpeg_version()) }
    /// Both, by name.
    public static var versions: [String: String] { ["libpng": png, "libjpeg": jpeg] }
}
