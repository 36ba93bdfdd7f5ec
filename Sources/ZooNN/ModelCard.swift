import ZooCore

/// What a model computes.
public enum ModelTask: String, Sendable, Codable, CaseIterable {
    case classify, generate, detect
    /// To latent images and back.
    case autoencode
    /// Vectors by which sets of images are compared.
    case features
}

/// Everything one should know about a variant before running it.
public struct ModelCard: Sendable, Codable, Equatable {
    /// The canonical name: lower case with hyphens, `ravlt-t`.
    public let name: String
    /// Other spellings that are accepted, such as the official `RAVLT_T`.
    public let aliases: [String]
    /// The family's name, `ravlt`.
    public let family: String
    public let task: ModelTask
    /// Learned parameters.
    public let parameters: Int
    /// Multiply-adds of convolutions and linear layers for one input of the card's size, in thousands of millions.
    public let gmacs: Double
    /// Multiply-adds of the attention cores for one input of the card's size, in thousands of millions.
    public let attentionGmacs: Double
    /// How an image becomes an input.
    public let preprocessing: Preprocessing
    public let classes: Int
    /// What the classes are: `imagenet-1k` or `digits`.
    public let labels: String
    /// The paper's title and arXiv number.
    public let paper: String
    /// The repository of the official code.
    public let code: String
    /// Published top-1 accuracy in percent at the card's input size, `nil` where none is published.
    public let publishedTop1: Double?
    /// Where the official checkpoint is published; `nil` for models that ship with the package.
    public let checkpoint: PublishedCheckpoint?

    public init(
        name: String, aliases: [String] = [], family: String, task: ModelTask = .classify, parameters: Int,
        gmacs: Double, attentionGmacs: Double, preprocessing: Preprocessing, classes: Int, labels: String,
        paper: String, code: String, publishedTop1: Double? = nil, checkpoint: PublishedCheckpoint? = nil
    ) {
        self.name = name
        self.aliases = aliases
        self.family = family
        self.task = task
        self.parameters = parameters
        self.gmacs = gmacs
        self.attentionGmacs = attentionGmacs
        self.preprocessing = preprocessing
        self.classes = classes
        self.labels = labels
        self.paper = paper
        self.code = code
        self.publishedTop1 = publishedTop1
        self.checkpoint = checkpoint
    }
}

/// Where an official checkpoint is published.
public struct PublishedCheckpoint: Sendable, Codable, Equatable {
    /// The page of the publication, for people.
    public let page: String
    /// The file's name there, such as `RAVLT_T.pth`; `nil` where the page names none.
    public let file: String?
    public let licence: String?

    public init(page: String, file: String?, licence: String?) {
        self.page = page
        self.file = file
        self.licence = licence
    }
}
